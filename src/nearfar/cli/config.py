"""``nearfar config``."""

from nearfar.cli.arguments import Config, Settings

NAME = "config"


def command(config: Config = None, settings: Settings = None) -> None:
    """Print every setting with its meaning, as YAML that train --config takes."""
    import typer

    from nearfar.config.read import explain, read_config

    typer.echo(explain(read_config(config, settings or ())), nl=False)
