async def main(params, context):
    print(context.task_id)
    return params
