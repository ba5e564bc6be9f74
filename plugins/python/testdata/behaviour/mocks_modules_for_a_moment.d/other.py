import importlib.util


def main(params, context):
    import decimal  # noqa: F401
    return [name for name in ["not_installed_here"] if importlib.util.find_spec(name)]
