import no_such_module_anywhere


def main(params, context):
    return 1
