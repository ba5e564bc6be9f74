"""Take the SHA-256 of every file of a folder, and one of the whole (I/O and CPU).

params: {"folder": "…"}
"""

import hashlib
import os


def main(params, context):
    """Return the number of files and bytes and the digest over names and contents."""
    whole, files, size = hashlib.sha256(), 0, 0
    for path in sorted(regular_files(params["folder"])):
        with open(path, "rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
            size += content.tell()
        whole.update(f"{digest}  {os.path.relpath(path, params['folder'])}\n".encode("utf-8", "surrogateescape"))
        files += 1
    return {"files": files, "bytes": size, "sha256": whole.hexdigest()}


def regular_files(folder):
    """Yield the paths of the files under folder, not following links."""
    for parent, _, names in os.walk(folder, onerror=complain):
        paths = (os.path.join(parent, name) for name in names)
        yield from (path for path in paths if os.path.isfile(path) and not os.path.islink(path))


def complain(error):
    """Fail the task: os.walk would pass over a folder that can't be read."""
    raise error
