# {"pools": "exclusive", "times": 2, "want": {"data": [2000, 77, true, "ignore", "/usr", 0.5]}, "changes": "recursion_limit socket_timeout decimal warnings folder umask"}
"""All that a script sets while it is loaded is set at each of its runs, and for no other script."""

import decimal
import os
import socket
import sys
import warnings

sys.setrecursionlimit(2000)
decimal.getcontext().prec = 77
os.umask(0o007)
warnings.simplefilter("ignore")
os.chdir("/usr")
socket.setdefaulttimeout(0.5)


def main(params, context):
    mask = os.umask(0)
    return [sys.getrecursionlimit(), decimal.getcontext().prec, mask == 0o007, warnings.filters[0][0], os.getcwd(), socket.getdefaulttimeout()]
