def main(params):
    return {"value": params["value"] * 2}
