# {"pools": "exclusive shared", "want": {"data": "/mnt/elsewhere"}}
"""A variable of another module, called path, can be set."""

import locations


def main(params, context):
    locations.path = "/mnt/elsewhere"
    return locations.where()
