"""Runs tests of Python's own suite. params: {"module": "test.test_json", "only": ["SomeClass", ...]}"""

import contextlib
import importlib
import io
import tempfile
import unittest


def cases(suite):
    """The tests of a suite, however deep."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        else:
            yield test


def ids(found):
    return sorted({test.id() for test, *_ in found})


def main(params, context):
    module = importlib.import_module(params["module"])
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    if params.get("only"):
        suite = unittest.TestSuite(test for test in cases(suite) if type(test).__name__ in params["only"])
    report = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        result = unittest.TextTestRunner(report).run(suite)
    return {"run": result.testsRun, "skipped": {test.id(): why for test, why in result.skipped}, "expected_failures": len(result.expectedFailures),
            "bad": ids(result.failures + result.errors + [(test,) for test in result.unexpectedSuccesses]),
            "report": report.getvalue()[-30_000:] if not result.wasSuccessful() else ""}
