def main(params, context):
    return params
