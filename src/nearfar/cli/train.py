"""``nearfar train``."""

from pathlib import Path
from typing import Annotated

import typer

from nearfar.cli.arguments import Config, Data, Model, Settings

NAME = "train"


def command(
    data: Data,
    model: Model,
    out: Annotated[Path, typer.Option("--out", help="The run folder; must be new or empty.")],
    config: Config = None,
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in the folder.")] = False,
) -> None:
    """Tune a model on data, and measure base, BM25 and tuned on the test split."""
    from nearfar import api
    from nearfar.cli.tables import print_scores

    result = api.train(data, model=model, out=out, config=config, settings=settings or (), resume=resume)
    print_scores(result.scores)
    typer.echo(f"model   {result.model}\nreport  {result.report}")
