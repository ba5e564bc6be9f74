# {"pools": "exclusive shared", "want": {"any_output": true, "error": "BdbQuit"}}
"""breakpoint() finds an empty stdin: the debugger gives up, as it does under python3 < /dev/null."""


def main(params, context):
    breakpoint()
    return 1
