import os
import sys

import the_colour

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))


def main(params, context):
    import the_lib_of_a_colour
    return [the_colour.NAME, the_lib_of_a_colour.NAME]
