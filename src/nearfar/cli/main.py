"""The command line. Each command is a thin file over the function of the same name.

Nothing heavy is imported until a command needs it, so that help and mistakes answer at once.
"""

import sys
from typing import Annotated

import typer

from nearfar.cli import audit, compare, config, demo, diagnose, evaluate, explain, export, mine, report, search, train
from nearfar.config.launch import Launch

_INTERRUPTED = 130
"""What typer makes of Ctrl-C."""

app = typer.Typer(
    name="nearfar",
    help="Train embedding models on your own data, and prove that they got better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
for module in (train, mine, export, evaluate, search, explain, audit, compare, diagnose, report, config, demo):
    app.command(name=module.NAME)(module.command)


@app.callback(invoke_without_command=True)
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error as well.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Train embedding models on your own data, and prove that they got better."""
    if version:
        from nearfar import __version__

        typer.echo(__version__)
        raise typer.Exit


def run(arguments: list[str] | None = None) -> None:
    """Run a command line and leave: exit code 0, or 2 with one message on the error stream."""
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> int:
    from nearfar.cli.several import launch_of, quiet_unless_first, takes_part
    from nearfar.errors import NearfarError

    debug = "--debug" in arguments  # before or after the verb
    arguments = [argument for argument in arguments if argument != "--debug"]
    launch = Launch()
    try:
        launch = launch_of(arguments)
        if not takes_part(arguments, launch):
            return 0
        with quiet_unless_first(launch):
            outcome = app(arguments, prog_name="nearfar", standalone_mode=False)
        if outcome != _INTERRUPTED:
            return outcome if isinstance(outcome, int) else 0
        message = "Stopped. A run of train, mine or compare goes on when the same command is given with --resume."
        _explain(message, debug, launch)
    except NearfarError as error:
        _explain(str(error), debug, launch, error)
    except Exception as error:
        _explain_other(error, arguments, debug, launch)
    return 2


def _explain_other(error: Exception, arguments: list[str], debug: bool, launch: Launch) -> None:
    """Explain a mistake on the command line, or the loss of another process; raise any other error."""
    from nearfar.cli.several import lost, spoken, voice
    from nearfar.errors import did_you_mean

    if hasattr(error, "format_message"):  # one of the parser's own
        message = error.format_message()
        known = [command.name for command in app.registered_commands if command.name]
        unknown = next((word for word in arguments if not word.startswith("-")), "")
        hint = did_you_mean(unknown, known) if message.startswith("No such command") and "?" not in message else ""
        _explain(f"{message.rstrip('.')}.{hint} See: nearfar --help", debug, launch)
    elif (message := lost(launch, error)) is not None:
        _explain(message, debug, launch, error)
    elif voice(launch, error) is not None:
        spoken(launch)
        raise error


def _explain(message: str, debug: bool, launch: Launch, error: BaseException | None = None) -> None:
    from nearfar.cli.several import spoken, voice

    opening = voice(launch, error)
    if opening is None:
        return
    if debug:
        import traceback

        traceback.print_exc()
    sys.stderr.write(f"nearfar: {opening}{message}\n")
    sys.stderr.flush()
    spoken(launch)


if __name__ == "__main__":
    run()
