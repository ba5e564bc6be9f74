import collections  # noqa: F401
import dataclasses  # noqa: F401
import datetime  # noqa: F401
import decimal  # noqa: F401
import enum  # noqa: F401
import pathlib  # noqa: F401
import uuid  # noqa: F401


def main(params, context):
    return eval(params)
