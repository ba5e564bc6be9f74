# {"pools": "exclusive shared", "times": 2, "want": {"stdout": "by name\nby default\n", "stderr": "by name, too\n"}}
"""from sys import stdout, at the top: each run prints to its own task."""

from sys import stderr, stdout


def say(text, file=stdout):
    print(text, file=file)


def main(params, context):
    stdout.write("by name\n")
    say("by default")
    stderr.write("by name, too\n")
