def main(params, context):
    import telnetlib
    return hasattr(telnetlib, "Telnet")
