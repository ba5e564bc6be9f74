# {"pools": "exclusive", "steps": [{"params": "set", "want": {"data": [false, false]}}, {"params": "look", "want": {"data": [true, true]}}]}
import os


def main(params, context):
    if params == "set":
        os.set_blocking(1, False)
        os.set_blocking(2, False)
    return [os.get_blocking(1), os.get_blocking(2)]
