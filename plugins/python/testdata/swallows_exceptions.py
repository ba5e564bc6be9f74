def main(params, context):
    context.progress(0, "begun")
    while True:
        try:
            while True:
                pass
        except Exception:
            continue
