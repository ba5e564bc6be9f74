# {"pools": "exclusive shared", "needs": "tqdm", "times": 2, "want": {"data": 6, "stderr_has": "4/4"}, "keeps": "warnings stdout stderr"}
"""tqdm writes its bar to stderr."""

import tqdm


def main(params, context):
    return sum(tqdm.tqdm(range(4), desc="counting"))
