# {"pools": "exclusive shared", "times": 2, "want": {"data": [null, 1.5]}, "changes": "socket_timeout"}
"""socket.setdefaulttimeout holds for one task."""

import socket


def main(params, context):
    found = socket.getdefaulttimeout()
    socket.setdefaulttimeout(1.5)
    with socket.socket() as s:
        return [found, s.gettimeout()]
