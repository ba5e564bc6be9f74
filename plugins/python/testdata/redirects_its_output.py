import contextlib
import io


def main(params, context):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        print("caught")
        context.progress(0.5, "redirected")
        params == "waits" and __import__("time").sleep(0.05)
    print("shown")
    return text.getvalue()
