def main(params, context):
    try:
        {}["missing"]
    except KeyError as error:
        raise RuntimeError("second") from error
