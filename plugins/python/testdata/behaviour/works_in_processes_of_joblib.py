# {"pools": "exclusive", "needs": "joblib", "want": {"code": "exception", "error": "RuntimeError", "any_output": true}, "keeps": "warnings environ meta_path", "python": "no"}
"""joblib starts processes of its own kind."""

import joblib


def shout(text):
    return text.upper()


def main(params, context):
    return joblib.Parallel(n_jobs=2)(joblib.delayed(shout)(text) for text in "ab")
