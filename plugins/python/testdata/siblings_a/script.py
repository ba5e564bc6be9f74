import json
import helper
from helper import NAME


def main(params, context):
    import helper as again
    assert again is helper
    return json.loads(json.dumps([NAME, helper.NAME]))
