# {"pools": "exclusive", "python": "no", "steps": [{"params": 4096, "want": {"data": 4096, "stdout": "small\n"}}, {"params": 0, "want": {"data": 1048576, "stdout": "small\n"}}]}
import fcntl


def main(params, context):
    print("small")
    if params:
        fcntl.fcntl(1, 1031, params)  # F_SETPIPE_SZ
    return fcntl.fcntl(1, 1032)
