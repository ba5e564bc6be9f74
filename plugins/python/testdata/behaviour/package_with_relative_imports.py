# {"pools": "exclusive shared", "times": 2, "want": {"data": ["top of it", "in a subpackage", "shop_beside.stock.shelf"]}}
"""A package beside the script imports its own modules relatively, at the top and late."""

from shop_beside.stock import shelf


def main(params, context):
    return [shelf.top(), shelf.late(), shelf.__name__]
