"""``nearfar compare``."""

from pathlib import Path
from typing import Annotated

import typer

NAME = "compare"


def command(
    what: Annotated[
        list[str],
        typer.Argument(metavar="SPEC | RUN RUN ...", help="A YAML file of a comparison, or folders of finished runs."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder of the results; must be new or empty. Runs need none.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as seeds=3 or base.training.epochs=1."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the comparison that is in the folder.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the runs and what they cost; do nothing.")
    ] = False,
) -> None:
    """Compare recipes and models over data sets and seeds, and say what can be told apart and what cannot."""
    from nearfar import api
    from nearfar.cli.compare_tables import print_comparison, print_plan

    if dry_run:
        print_plan(api.plan_comparison(what, out=out, settings=settings or ()))
        return
    print_comparison(api.compare(what, out=out, settings=settings or (), resume=resume))
    if out is not None:
        typer.echo(f"written to {out}, the page is {out / 'report.html'}")
