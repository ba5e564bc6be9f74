def main(params, context):
    print("a\udc80b")
    return "\ud800"
