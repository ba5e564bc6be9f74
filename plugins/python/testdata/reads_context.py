from collections.abc import Mapping


def main(params, context):
    assert isinstance(context, Mapping)
    assert context["task_id"] == context.task_id
    assert 0 < context.remaining() <= 3600
    assert not context.cancelled
    context.check_cancelled()
    return dict(context)
