# {"pools": "exclusive shared", "needs": "click", "times": 2, "want": {"data": [0, "2 figs\n", 2, true], "stdout": "3 figs\n", "stderr": "eaten\n"}}
"""click: a group of commands, called as a program and through its test runner."""

import click
from click.testing import CliRunner


@click.group()
def cli():
    pass


@cli.command()
@click.argument("count", type=int)
def eat(count):
    click.secho("%d figs" % count, fg="green")
    if count > 2:
        click.echo("eaten", err=True)


def main(params, context):
    cli(["eat", "3"], standalone_mode=False)
    good = CliRunner().invoke(cli, ["eat", "2"])
    bad = CliRunner().invoke(cli, ["eat", "many"])
    return [good.exit_code, good.output, bad.exit_code, "not a valid integer" in bad.output]
