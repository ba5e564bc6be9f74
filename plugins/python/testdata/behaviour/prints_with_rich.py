# {"pools": "exclusive shared", "needs": "rich", "times": 2, "want": {"stdout": "bold\n"}, "keeps": "warnings"}
"""rich finds no terminal, and prints plainly; a console that was made at the top does so at each run."""

from rich.console import Console

console = Console()


def main(params, context):
    console.print("[bold]bold[/bold]")
