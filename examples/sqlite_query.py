"""Put the files of a folder into an SQLite database in memory and query it (I/O).

params: {"folder": "…"}
"""

import os
import sqlite3
from contextlib import closing

QUERY = """
SELECT suffix, count(*), sum(bytes), sum(lines) FROM files
GROUP BY suffix ORDER BY sum(bytes) DESC, suffix LIMIT 5
"""


def main(params, context):
    """Return the number of files and the five suffixes that take the most room."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE files (path TEXT PRIMARY KEY, suffix TEXT, bytes INTEGER, lines INTEGER)")
        database.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", rows(params["folder"]))
        count, = database.execute("SELECT count(*) FROM files").fetchone()
        names = ("suffix", "files", "bytes", "lines")
        return {"files": count, "suffixes": [dict(zip(names, row)) for row in database.execute(QUERY)]}


def rows(folder):
    """Yield path, suffix, size and number of lines of every file under folder."""
    for parent, _, names in os.walk(folder, onerror=complain):
        for path in filter(os.path.isfile, (os.path.join(parent, name) for name in names)):
            with open(path, "rb") as content:
                text = content.read()
            yield path, os.path.splitext(path)[1], len(text), text.count(b"\n")


def complain(error):
    """Fail the task: os.walk would pass over a folder that can't be read."""
    raise error
