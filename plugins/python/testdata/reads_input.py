def main(params, context):
    return input("? ")
