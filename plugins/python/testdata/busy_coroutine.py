async def main(params, context):
    context.progress(0, "begun")
    while True:
        pass
