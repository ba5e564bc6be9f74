# {"pools": "exclusive", "needs": "pandas", "want": {"code": "bad_return_value", "error": "TypeError"}, "python": "no", "keeps": "warnings meta_path"}
"""Not a time is not a value of JSON."""

import pandas


def main(params, context):
    return [pandas.Timestamp("2026-01-02"), pandas.NaT]
