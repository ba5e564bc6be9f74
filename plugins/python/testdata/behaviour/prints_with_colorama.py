# {"pools": "exclusive shared", "needs": "colorama", "times": 2, "want": {"data": true, "stdout": "red\n"}}
"""colorama wraps the standard streams, and takes escapes away where no terminal is."""

import sys

import colorama


def main(params, context):
    found = sys.stdout is sys.__stdout__
    colorama.init(strip=True)
    print(colorama.Fore.RED + "red")
    return found
