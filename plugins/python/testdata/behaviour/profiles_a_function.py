# {"pools": "exclusive shared", "times": 2, "want": {"data": true, "stdout_has": "function calls"}}
"""cProfile.run and pstats print to the task's stdout."""

import cProfile
import io
import pstats


def main(params, context):
    profile = cProfile.Profile()
    profile.runcall(sorted, [3, 1, 2])
    text = io.StringIO()
    pstats.Stats(profile, stream=text).print_stats()
    pstats.Stats(profile).print_stats()
    return "sorted" in text.getvalue()
