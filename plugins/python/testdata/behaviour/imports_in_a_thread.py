# {"pools": "exclusive shared", "fresh": true, "keeps": "warnings", "times": 2, "want": {"data": ["in a thread", "in a pool", true]}}
"""A thread imports what nobody has imported before: a sibling, and a module of the standard library."""

import asyncio  # noqa: F401 (and with it signal, subprocess and more)
import threading
from concurrent.futures import ThreadPoolExecutor


def import_one():
    import first_of_a_thread
    return first_of_a_thread.WHERE


def import_another():
    import second_of_a_thread
    import mailbox
    return [second_of_a_thread.WHERE, hasattr(mailbox, "mbox")]


def main(params, context):
    answer = []
    thread = threading.Thread(target=lambda: answer.append(import_one()))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        return answer + pool.submit(import_another).result()
