# {"pools": "exclusive shared", "needs": "rich", "times": 2, "want": {"data": 3, "stdout_has": "Fruit"}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""rich prints a table, shows progress and handles logging, without a terminal."""

import logging

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import track
from rich.table import Table

console = Console()


def main(params, context):
    table = Table(title="Fruit")
    table.add_column("name")
    table.add_row("[red]fig[/red]")
    console.print(table)
    log = logging.getLogger("of.rich")
    log.addHandler(RichHandler(console=console))
    log.propagate = False
    log.warning("ripe")
    log.handlers.clear()
    return sum(1 for _ in track(range(3), console=console))
