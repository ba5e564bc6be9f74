"""Fetch several URLs at a time in threads (I/O).

params: {"urls": ["http://…", …], "threads": 4, "timeout": 10}
"""

from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen


def main(params, context):
    """Return the HTTP status and size of each URL; any that fails fails the task."""
    seconds = params.get("timeout", 10)
    with ThreadPoolExecutor(params.get("threads", 4)) as threads:
        pages = list(threads.map(lambda url: fetch(url, seconds), params["urls"]))
    return {"pages": len(pages), "bytes": sum(page["bytes"] for page in pages), "each": pages}


def fetch(url, seconds):
    """Get one URL and count its bytes."""
    with urlopen(url, timeout=seconds) as answer:
        return {"url": url, "status": answer.status, "bytes": len(answer.read())}
