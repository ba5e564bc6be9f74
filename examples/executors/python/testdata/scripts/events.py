def main(params, context):
    context.progress(0.5, "half way")
    context.log.info("hello")
    yield from (1, 2, 3)
