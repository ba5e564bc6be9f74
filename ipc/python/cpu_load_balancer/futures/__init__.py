"""concurrent.futures over a daemon: any picklable call, in its warm workers.

    from cpu_load_balancer.futures import Executor

    if __name__ == "__main__":
        with Executor() as executor:
            print(list(executor.map(pow, range(10), range(10))))

Executor takes the place of a ProcessPoolExecutor; docs/futures.md says what differs.
"""

from .errors import CallTimeoutError, TransferError, VersionError, WorkerLostError
from .executor import Executor

__all__ = ["CallTimeoutError", "Executor", "TransferError", "VersionError", "WorkerLostError"]
