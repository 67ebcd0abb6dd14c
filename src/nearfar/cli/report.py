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
    from nearfar.reports.mining import write_mining_report
    from nearfar.reports.page import write_report
    from nearfar.training.folder import MINE, RunFolder

    mined = RunFolder(run).read_record().get("job") == MINE
    typer.echo(str((write_mining_report if mined else write_report)(run, out)))
