def main(params, context):
    total = 0
    for i in range(params["rounds"]):
        total += i
    return params["id"]
