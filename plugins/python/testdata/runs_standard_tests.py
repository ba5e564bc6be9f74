"""Runs one module of the standard library's own tests, as `python3 -m unittest` would."""

import importlib
import io
import unittest


def main(params, context):
    module = importlib.import_module("test." + params)
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    report = io.StringIO()
    result = unittest.TextTestRunner(stream=report, verbosity=0).run(suite)
    bad = sorted(str(case) for case, _ in result.errors + result.failures) + sorted(map(str, result.unexpectedSuccesses))
    return {"run": result.testsRun, "skipped": len(result.skipped), "bad": bad}
