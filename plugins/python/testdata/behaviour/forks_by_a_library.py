# {"pools": "exclusive shared", "needs": "joblib", "want": {"error": "RuntimeError", "message_has": "isolation = \"process\""}, "keeps": "warnings environ meta_path", "python": "no"}
"""A process with threads can't be forked: the words for that name what to do."""

import joblib


def main(params, context):
    return joblib.Parallel(n_jobs=2)(joblib.delayed(str.upper)(text) for text in "ab")
