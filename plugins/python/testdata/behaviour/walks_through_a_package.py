# {"pools": "exclusive shared", "want": {"data": ["orchard.apple", "orchard.pear", "orchard.sub", "orchard.sub.plum"]}}
"""pkgutil lists the modules of a package beside the script."""

import pkgutil

import orchard


def main(params, context):
    return sorted(module.name for module in pkgutil.walk_packages(orchard.__path__, "orchard."))
