# {"pools": "exclusive shared", "times": 2, "want": {"data": ["--count", "3"]}, "changes": "argv"}
"""sys.argv of one task is not the next one's."""

import argparse
import sys


def main(params, context):
    found = sys.argv[1:]
    sys.argv += ["--count", "3"]
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int)
    assert parser.parse_args().count == 3 and not found
    return sys.argv[-2:]
