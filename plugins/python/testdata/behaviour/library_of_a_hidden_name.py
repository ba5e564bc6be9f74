# {"pools": "exclusive", "python": "no", "fresh": true, "steps": [{"want": {"data": ["my own", false]}}, {"script": "elsewhere/plain.py", "want": {"data": true}}, {"want": {"data": ["my own", false]}}]}
"""What hides a library for one script, hides it for nobody else."""

import plistlib


def main(params, context):
    return [plistlib.WHOSE, hasattr(plistlib, "loads")]
