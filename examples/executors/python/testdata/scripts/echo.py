print(context.task_id)
params
