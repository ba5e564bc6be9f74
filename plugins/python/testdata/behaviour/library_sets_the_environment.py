# {"pools": "exclusive shared", "fresh": true, "times": 2, "keeps": "environ", "want": {"data": ["by a library", "by a task"]}}
"""A library that sets a variable while it is imported finds it set at later runs, too; what a task sets is gone."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "lib"))


def main(params, context):
    assert "BEHAVIOUR_OF_A_TASK" not in os.environ
    os.environ["BEHAVIOUR_OF_A_TASK"] = "by a task"
    import a_library_with_a_variable  # noqa: F401
    return [os.environ["BEHAVIOUR_OF_A_LIBRARY"], os.environ["BEHAVIOUR_OF_A_TASK"]]
