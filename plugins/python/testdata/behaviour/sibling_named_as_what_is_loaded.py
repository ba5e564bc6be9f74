# {"pools": "exclusive", "steps": [{"params": ["random", "codecs", "queue"], "want": {"data": [true, true, true]}}], "only": "3.11"}
"""A script with siblings called random, codecs and queue: python3 has loaded some of these before the script, others not.
The standard library itself must go on working in any case."""

import tempfile
import threading


def main(params, context):
    with tempfile.NamedTemporaryFile() as file:
        named = bool(file.name)
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    import codecs
    return [named, not thread.is_alive(), hasattr(codecs, "lookup")]
