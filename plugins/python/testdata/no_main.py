def other(params, context):
    return "other"
