runs = 0


def main(params, context):
    global runs
    runs += 1
    return runs
