def main(params, context):
    for _ in range(params["lines"]):
        print("ğ" * 1000)
    return "done"
