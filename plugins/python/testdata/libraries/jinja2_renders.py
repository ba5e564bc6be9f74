# {"pools": "exclusive shared", "needs": "jinja2", "times": 2, "want": {"data": ["<li>a &amp; b</li><li>c</li>", "UndefinedError"]}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""Jinja2 loads a template from a folder beside the script."""

import os

import jinja2

environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined,
                                 loader=jinja2.FileSystemLoader(os.path.join(os.path.dirname(__file__), "templates")))


def main(params, context):
    text = environment.get_template("list.html").render(items=["a & b", "c"])
    try:
        environment.from_string("{{ nothing }}").render()
    except jinja2.UndefinedError as error:
        return [text, type(error).__name__]
