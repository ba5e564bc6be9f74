import os
import time


def main(params, context):
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
