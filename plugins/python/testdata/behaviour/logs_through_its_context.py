# {"pools": "exclusive shared loop", "python": "no", "want": {"data": null}}
"""context.log takes what logging takes: a mapping for names, exc_info, and a bad argument harms nobody."""


def main(params, context):
    context.log.info("%(name)s has %(count)d", {"name": "it", "count": 3})
    context.log.warning("%d", "not a number")
    try:
        raise KeyError("k")
    except KeyError:
        context.log.error("it went wrong", exc_info=True)
