def main(params, context):
    for i in range(params["count"]):
        yield {"i": i}
    return params.get("result")
