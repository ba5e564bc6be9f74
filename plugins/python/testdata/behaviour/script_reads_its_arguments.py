# {"pools": "exclusive shared", "function": "__main__", "steps": [{"params": ["a b", "--x=1", ""], "want": {"stdout": "['a b', '--x=1', ''] script_reads_its_arguments.py True\n"}}, {"params": [], "want": {"stdout": "[] script_reads_its_arguments.py True\n"}}]}
"""sys.argv, and sys.path[0], are what python3 gives."""

import os
import sys

print(sys.argv[1:], os.path.basename(sys.argv[0]), sys.path[0] == os.path.dirname(os.path.abspath(sys.argv[0])))
