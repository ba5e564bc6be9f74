# {"pools": "exclusive shared", "want": {"data": ["one line\n", "one line\n", ["words.txt"]]}}
"""importlib.resources and pkgutil find the files of a package beside the script."""

import importlib.resources
import pkgutil


def main(params, context):
    folder = importlib.resources.files("dictionary_beside")
    return [folder.joinpath("words.txt").read_text(), pkgutil.get_data("dictionary_beside", "words.txt").decode(),
            sorted(f.name for f in folder.iterdir() if f.name.endswith(".txt"))]
