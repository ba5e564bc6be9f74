# {"pools": "exclusive", "python": "no", "steps": [{"want": {"data": ["my own", false]}}, {"script": "elsewhere/plain.py", "want": {"data": true}}, {"want": {"data": ["my own", false]}}], "only": "3.11"}
"""What hides a library for one script, hides it for nobody else."""

import telnetlib


def main(params, context):
    return [telnetlib.WHOSE, hasattr(telnetlib, "Telnet")]
