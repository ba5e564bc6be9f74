# {"pools": "exclusive shared", "want": {"error": "Mine", "message_has": "the message", "traceback_has": "a note"}}
"""Notes of an exception are in its traceback; its cause, too."""


class Mine(Exception):
    pass


def main(params, context):
    try:
        1 / 0
    except ZeroDivisionError as cause:
        error = Mine("the message")
        error.add_note("a note")
        raise error from cause
