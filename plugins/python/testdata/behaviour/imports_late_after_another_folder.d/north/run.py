def main(params, context):
    if params:
        import a_late_name
        return a_late_name.SIDE
