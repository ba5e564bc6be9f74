# {"pools": "exclusive shared", "steps": [{"write": {"pack/__init__.py": "", "pack/deep.py": "VALUE = 1\n", "middle.py": "from pack.deep import VALUE\n"}, "want": {"data": 1}}, {"write": {"pack/deep.py": "VALUE = 2\n"}, "want": {"data": 2}}]}
"""A module that only a module beside the script imports has changed."""

import middle


def main(params, context):
    return middle.VALUE
