# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "spawn\n"}}
"""set_start_method may be called once in a program, and nobody has called it before."""

import multiprocessing

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    print(multiprocessing.get_start_method())
