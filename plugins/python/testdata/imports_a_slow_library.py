import importlib
import sys


def main(params, context):
    if params["folder"] not in sys.path:
        sys.path.append(params["folder"])
    context.progress(0, "begun")
    return importlib.import_module(params["library"]).DONE
