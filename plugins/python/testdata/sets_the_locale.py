import locale


def main(params, context):
    assert locale.setlocale(locale.LC_ALL)  # asking is allowed
    locale.setlocale(locale.LC_ALL, "C")
