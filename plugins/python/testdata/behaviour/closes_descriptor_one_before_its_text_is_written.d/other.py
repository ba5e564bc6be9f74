def main(params, context):
    print("of the other")
