# {"pools": "exclusive", "times": 2, "want": {"stdout": "one\ntwo\nthree\n", "stderr": "four\n"}}
"""/dev/stdout and /dev/stderr are the task's output, and opening them loses nothing."""


def main(params, context):
    print("one", flush=True)
    with open("/dev/stdout", "w") as file:
        file.write("two\n")
    print("three")
    with open("/dev/stderr", "w") as file:
        file.write("four\n")
