# {"pools": "exclusive shared", "function": "__main__", "steps": [{"params": ["--n", "4"], "want": {"stdout": "16\n"}}, {"params": ["--n", "x"], "want": {"exit": 2, "stderr": "usage: script_parses_its_arguments.py [-h] [--n N]\nscript_parses_its_arguments.py: error: argument --n: invalid int value: 'x'\n"}}, {"params": ["-h"], "want": {"stdout_has": "usage: script_parses_its_arguments.py [-h] [--n N]"}}]}
"""argparse names the program after the script."""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=1)
print(parser.parse_args().n ** 2)
