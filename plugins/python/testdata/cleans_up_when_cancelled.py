def main(params, context):
    try:
        context.progress(0, "begun")  # within: the stop may strike as soon as this is seen
        while True:
            context.check_cancelled()
    finally:
        print("cleaned up")
