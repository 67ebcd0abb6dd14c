"""``nearfar report``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

NAME = "report"


def command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run: of train, mine, evaluate or compare.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="The page; report.html in the run unless given.")] = None,
) -> None:
    """Write the page of a run anew from its files."""
    from nearfar.evaluation.comparison import COMPARISON
    from nearfar.reports import comparison, evaluation
    from nearfar.reports.evaluation_contents import SCORES
    from nearfar.reports.mining import write_mining_report
    from nearfar.reports.page import write_report
    from nearfar.training.folder import MINE, RunFolder

    write: Callable[[Path, Path | None], Path]
    if (run / COMPARISON).is_file():
        write = comparison.write_page
    elif (run / SCORES).is_file():
        write = evaluation.write_page
    else:
        mined = RunFolder(run).read_record().get("job") == MINE
        write = write_mining_report if mined else write_report
    typer.echo(str(write(run, out)))
