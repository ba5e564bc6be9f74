def main(params, context):
    context.progress(0, "begun")
    try:
        while True:
            pass
    except BaseException as error:
        return "swallowed " + type(error).__name__
