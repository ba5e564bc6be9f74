"""Compiles the modules of the runtime for the Python that runs this.

A worker would spend more time on that than on all else of its start. For each module there
is a file with the SHA-256 of its source, Python's magic number, and the code: a worker of
another version, or built from another source, compiles by itself.
"""

import hashlib
import importlib.util
import marshal
import pathlib

here = pathlib.Path(__file__).parent
for old in here.glob("*.code"):
    old.unlink()
for source in (here.parent / "runtime").glob("*.py"):
    text = source.read_bytes()
    code = compile(text, f"<cpulb>/{source.name}", "exec", dont_inherit=True, optimize=0)
    (here / source.stem).with_suffix(".code").write_bytes(
        hashlib.sha256(text).digest() + importlib.util.MAGIC_NUMBER + marshal.dumps(code))
