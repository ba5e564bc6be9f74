"""What RQ's workers run."""
import works


def run(work, param):
    """Do the work."""
    return getattr(works, work)(param)
