"""Returns at once: what is measured is everything else."""


def main(params, context):
    return None
