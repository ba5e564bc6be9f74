# {"pools": "exclusive", "python": "no", "steps": [{"want": {"any_output": true}}, {"script": "other.py", "want": {"stdout": "of the other\n"}}]}
"""What a task can't write any more is not written into the next one's output."""

import os


def main(params, context):
    print("a secret")
    os.close(1)
