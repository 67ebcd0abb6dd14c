"""``nearfar diagnose``."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "diagnose"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Where the data of the run is now, if it has moved.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="RUN", help="Another run, such as the one before: says what has changed."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for the page and diagnosis.json; the run's own unless given.")
    ] = None,
) -> None:
    """Say why a run got worse, or is worse than it looks: causes, each from a measurement."""
    from nearfar import api
    from nearfar.cli.verdicts import print_diagnosis

    folder = run if out is None else out
    print_diagnosis(api.diagnose(run, data=data, against=against, out=folder))
    typer.echo(f"written to {folder / 'diagnosis.html'}")
