def main(params, context):
    context.progress(0, "begun")
    try:
        while True:
            context.check_cancelled()
    finally:
        print("cleaned up")
