"""Keeps all the memory that it can get."""

kept = []


def main(params, context):
    size = 1 << 24
    while size > 1000:
        try:
            kept.append(bytearray(size))
        except MemoryError:
            size >>= 1
    return params


async def on_a_loop(params, context):
    return main(params, context)
