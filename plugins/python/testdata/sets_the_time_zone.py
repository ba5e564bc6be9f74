import os
import time


def main(params, context):
    before = time.timezone
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    return before != time.timezone == -9 * 3600
