"""``nearfar mine``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nearfar.cli.arguments import Data, Model, Settings

NAME = "mine"


def command(
    data: Data,
    model: Model,
    out: Annotated[Path, typer.Option("--out", help="The folder of the job; must be new or empty.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="A YAML file with settings; see: nearfar config --job mine.")
    ] = None,
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the job that is in the folder.")] = False,
    engine: Annotated[
        Literal["local", "ray"], typer.Option("--engine", help="local: here. ray: the cluster of RAY_ADDRESS, or here.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that encode and search; none takes what fits.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="A folder of vectors that several jobs share; none keeps them in RUN."),
    ] = None,
    judge_url: Annotated[
        str | None,
        typer.Option(
            "--judge-url", help="A server of the OpenAI protocol; its key is in NEARFAR_API_KEY, if it has one."
        ),
    ] = None,
    judge_requests: Annotated[
        int | None, typer.Option("--judge-requests", help="How many to send before the job pauses; none for no limit.")
    ] = None,
    judge_tokens: Annotated[
        int | None, typer.Option("--judge-tokens", help="How many to use before the job pauses; none for no limit.")
    ] = None,
) -> None:
    """Find hard negatives for the training queries of data, and say what became of every candidate."""
    from nearfar import api
    from nearfar.cli.mine_tables import print_account

    result = api.mine(
        data,
        model=model,
        out=out,
        config=config,
        settings=settings or (),
        resume=resume,
        engine=engine,
        workers=workers,
        cache=cache,
        judge_url=judge_url,
        judge_requests=judge_requests,
        judge_tokens=judge_tokens,
    )
    print_account(result.account)
    typer.echo(
        f"negatives  {result.negatives}\nreport     {result.report}\ntrain with nearfar train {result.folder} ..."
    )
