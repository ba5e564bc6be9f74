# {"pools": "exclusive shared", "steps": [{"write": {"value_of_it.py": "VALUE = 1\n"}, "want": {"data": 1}}, {"write": {"value_of_it.py": "VALUE = 2\n"}, "want": {"data": 2}}, {"write": {"value_of_it.py": "VALUE = 33\n"}, "want": {"data": 33}}]}
"""A module beside the script has changed."""

import value_of_it


def main(params, context):
    return value_of_it.VALUE
