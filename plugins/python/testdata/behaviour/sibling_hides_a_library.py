# {"pools": "exclusive", "fresh": true, "times": 2, "want": {"data": ["my own", "my own"]}}
"""A module beside the script hides one of the standard library that nobody has imported yet, as under python3."""

import chunk
import sndhdr


def main(params, context):
    return [chunk.WHOSE, sndhdr.WHOSE]
