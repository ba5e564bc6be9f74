# {"pools": "exclusive shared", "times": 2, "want": {"data": ["/srv/files", "/srv/files", ["--all"], "the log", {"HOME": "no"}, "/srv/files"]}}
"""A module of settings may call its variables path, argv, stdout and environ."""

import deployment
from deployment import path


def main(params, context):
    return [deployment.path, path, deployment.argv, deployment.stdout, deployment.environ, deployment.read()]
