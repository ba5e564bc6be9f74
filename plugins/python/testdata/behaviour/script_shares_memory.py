# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "b'hello'\n"}}
"""multiprocessing.shared_memory: a child writes, the parent reads, nothing is left and nobody complains."""

import multiprocessing
from multiprocessing import shared_memory


def write(name):
    block = shared_memory.SharedMemory(name)
    block.buf[:5] = b"hello"
    block.close()


if __name__ == "__main__":
    block = shared_memory.SharedMemory(create=True, size=16)
    process = multiprocessing.get_context("spawn").Process(target=write, args=(block.name,))
    process.start()
    process.join()
    print(bytes(block.buf[:5]))
    block.close()
    block.unlink()
