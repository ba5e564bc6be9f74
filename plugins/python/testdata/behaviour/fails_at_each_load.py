# {"pools": "exclusive shared", "times": 2, "want": {"error": "ValueError", "message_has": "each time", "stdout": "loading\n"}}
"""A script that fails to load does so at each run, with its output."""

print("loading")
raise ValueError("each time")


def main(params, context):
    pass
