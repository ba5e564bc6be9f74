# {"pools": "exclusive shared", "needs": "pytest", "times": 2, "want": {"data": 1, "stdout_has": "1 failed, 4 passed, 1 skipped"}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""pytest runs the tests of a folder: fixtures, capture of both kinds, monkeypatch, warnings, rewritten asserts."""

import os

import pytest


def main(params, context):
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "suite")
    return int(pytest.main(["-p", "no:cacheprovider", "--import-mode=importlib", "-q", "--rootdir", folder, folder]))
