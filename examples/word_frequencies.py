"""Count the words of text files (CPU).

params: {"paths": [folder or file, …], "suffix": ".md", "top": 5}
"""

import os
import re
from collections import Counter

WORD = re.compile(r"[^\W\d_]{3,}")


def main(params, context):
    """Return the number of files and words, and the most frequent words."""
    words, files = Counter(), 0
    for path in text_files(params["paths"], params.get("suffix", "")):
        with open(path, encoding="utf-8", errors="replace") as text:
            for line in text:
                words.update(WORD.findall(line.lower()))
        files += 1
    return {"files": files, "words": words.total(), "top": words.most_common(params.get("top", 5))}


def text_files(paths, suffix):
    """Yield the files in paths; folders are searched for those that end in suffix. A
    path that is not there fails when it is opened."""
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        for folder, _, names in os.walk(path):
            yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(suffix))
