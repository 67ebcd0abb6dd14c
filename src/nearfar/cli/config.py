"""``nearfar config``."""

from typing import Annotated, Literal

import typer

from nearfar.cli.arguments import Config, Settings

NAME = "config"


def command(
    config: Config = None,
    settings: Settings = None,
    job: Annotated[Literal["train", "mine"], typer.Option("--job", help="Whose settings.")] = "train",
) -> None:
    """Print every setting with its meaning, as YAML that train --config, or mine --config, takes."""
    from nearfar.config.mining import MineConfig
    from nearfar.config.read import explain, read_options
    from nearfar.config.run import RunConfig

    kind = RunConfig if job == "train" else MineConfig
    typer.echo(explain(read_options(kind, config, settings or ())), nl=False)
