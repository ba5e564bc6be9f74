# {"pools": "exclusive shared", "steps": [{"write": {"needed.py": "raise OSError('not yet')\n"}, "want": {"error": "OSError", "message_has": "not yet"}}, {"write": {"needed.py": "VALUE = 'now'\n"}, "want": {"data": "now"}}]}
"""A script that could not be loaded is loaded at its next run."""

import needed


def main(params, context):
    return needed.VALUE
