import sys


def main(params, context):
    if params["folder"] not in sys.path:
        sys.path.append(params["folder"])
    context.progress(0, "begun")
    import slow_library_of_the_test
    return slow_library_of_the_test.DONE
