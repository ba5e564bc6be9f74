# {"pools": "exclusive shared", "want": {"data": ["from a mock", "yes", ["to a mock"]], "stdout": ""}}
"""What unittest.mock puts into builtins is what the script calls."""

from unittest import mock


def main(params, context):
    with mock.patch("builtins.open", mock.mock_open(read_data="from a mock")):
        text = open("/there/is/no/such/file").read()
    with mock.patch("builtins.input", return_value="yes"):
        answer = input("well? ")
    with mock.patch("builtins.print") as silent:
        print("to a mock")
    return [text, answer, list(silent.call_args.args)]
