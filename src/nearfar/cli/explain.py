"""``nearfar explain``."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "explain"


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Objectives in text form, such as InfoNCE or 'DCL(temperature=0.05)'."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="A finished run, to weigh the pairs of its training batches as well.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("explain.html"),
    listed: Annotated[
        bool, typer.Option("--list", help="Show every objective in the terminal, or those that fit the words.")
    ] = False,
) -> None:
    """Show what objectives do with a pair: curves of pull and push, equations, parts, papers; on one page."""
    if listed:
        from nearfar.cli.listing import print_objectives

        print_objectives(names or ())
        return
    from nearfar import api

    typer.echo(str(api.explain(names or (), run=run, out=out)))
