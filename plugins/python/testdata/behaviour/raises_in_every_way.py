# {"pools": "exclusive shared loop", "steps": [{"params": "KeyboardInterrupt()", "want": {"error": "KeyboardInterrupt"}}, {"params": "GeneratorExit()", "want": {"error": "GeneratorExit"}}, {"params": "StopIteration(1)", "want": {"error": "StopIteration"}}, {"params": "StopAsyncIteration()", "want": {"error": "StopAsyncIteration"}}, {"params": "BaseException('all')", "want": {"error": "BaseException", "message_has": "all"}}, {"params": "ExceptionGroup('some', [ValueError(1), KeyError(2)])", "want": {"error": "ExceptionGroup", "message_has": "some (2 sub-exceptions)", "traceback_has": "KeyError: 2"}}, {"params": "UnicodeDecodeError('utf-8', b'\\xff', 0, 1, 'bad')", "want": {"error": "UnicodeDecodeError"}}, {"params": "raise_me", "want": {"error": "TypeError"}}]}
"""Whatever is raised is the failure of its task."""


def main(params, context):
    raise eval(params) if params != "raise_me" else None
