def main(params, context):
    import plistlib
    return hasattr(plistlib, "loads")
