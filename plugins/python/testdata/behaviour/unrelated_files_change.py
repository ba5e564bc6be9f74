# {"pools": "exclusive shared", "python": "no", "steps": [{"want": {"data": 1}}, {"write": {"notes.txt": "a", "unrelated.py": "x = 1\n"}, "want": {"data": 2}}, {"write": {"unrelated.py": "x = 2\n", "data.json": "{}"}, "want": {"data": 3}}, {"remove": ["unrelated.py"], "want": {"data": 4}}]}
"""Nothing is loaded again because of a file that the script has not loaded."""

import the_loaded_one

count = 0


def main(params, context):
    global count
    count += the_loaded_one.STEP
    return count
