"""``nearfar report``."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "report"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[Path | None, typer.Option("--out", help="The page; report.html in the run unless given.")] = None,
) -> None:
    """Write the page of a run anew from its files."""
    from nearfar.reports.page import write_report

    typer.echo(str(write_report(run, out)))
