"""``nearfar demo``."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "demo"


def command(
    out: Annotated[Path, typer.Option("--out", help="The run folder.")] = Path("runs/demo"),
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as training.steps=20.")
    ] = None,
) -> None:
    """Tune MiniLM to search the Python code that is installed here, and prove that it got better."""
    from nearfar.cli.tables import print_scores
    from nearfar.recipes.demo import run_demo

    result = run_demo(out, settings or ())
    print_scores(result.scores)
    typer.echo(f"model   {result.model}\nreport  {result.report}\nresult  {result.folder / 'result.json'}")
