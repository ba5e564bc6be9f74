import os
import subprocess


def main(params, context):
    before = subprocess.run(["sh", "-c", "echo $CPULB_PUT"], capture_output=True, text=True).stdout
    os.environ["CPULB_PUT"] = "there"
    os.putenv("CPULB_PUT_TOO", "there")
    after = subprocess.run(["sh", "-c", "echo $CPULB_PUT"], capture_output=True, text=True).stdout
    return [before, after] == ["\n", "there\n"] and "CPULB_PUT_TOO" not in os.environ
