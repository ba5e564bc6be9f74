# {"pools": "exclusive shared", "needs": "click", "times": 2, "want": {"data": [0, "Hello, World!\n"], "stdout": "Hello, you!\n"}}
"""click's echo, and its runner for tests, which replaces all streams for a while."""

import click
import click.testing


@click.command()
@click.option("--name", default="World")
def hello(name):
    click.echo("Hello, %s!" % name)


def main(params, context):
    result = click.testing.CliRunner().invoke(hello, [])
    hello.main(["--name", "you"], standalone_mode=False)
    return [result.exit_code, result.output]
