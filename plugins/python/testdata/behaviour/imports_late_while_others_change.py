# {"pools": "shared", "python": "no", "steps": [{"do": "start", "name": "late"}, {"write": {"unrelated.py": "def main(params):\n    return 1\n"}, "script": "unrelated.py", "want": {"data": 1}}, {"write": {"unrelated.py": "def main(params):\n    return 2\n"}, "script": "unrelated.py", "want": {"data": 2}}, {"do": "open", "name": "gate"}, {"do": "end", "name": "late", "want": {"data": ["late", true]}}]}
"""While a script runs, an unrelated one of its folder is edited and run. The first still imports and pickles."""

import os
import pickle


class Thing:
    pass


def main(params, context):
    context.progress(0)
    with open(os.path.join(os.path.dirname(__file__), "gate"), "rb", 0) as gate:
        gate.read(1)
    import imported_late
    return [imported_late.WHEN, type(pickle.loads(pickle.dumps(Thing()))) is Thing]
