# {"pools": "exclusive shared", "python": "no", "steps": [{"function": "main", "want": {"data": "function"}}, {"function": "__main__", "params": [], "want": {"stdout": "script\n"}}, {"function": "main", "want": {"data": "function"}}]}
"""One file is called by its function and run as a script, in turn."""


def main(params, context):
    return "function"


if __name__ == "__main__":
    print("script")
