# {"pools": "exclusive shared", "times": 2, "want": {"data": "beside the script"}}
"""A plugin that is loaded from a path can import what lies beside the script."""

import importlib.util
import os


def main(params, context):
    path = os.path.join(os.path.dirname(__file__), "extensions", "first.py")
    spec = importlib.util.spec_from_file_location("an_extension", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.where()
