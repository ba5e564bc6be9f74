# {"pools": "exclusive", "times": 2, "want": {"data": ""}, "changes": "descriptors"}
"""open(0).read() closes the descriptor with the file; the next task has its own."""


def main(params, context):
    return open(0).read()
