import locale


def main(params, context):
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_TIME, "C.UTF-8")
    return before == "C" or before.startswith("LC_CTYPE=") and "LC_TIME=C;" in before
