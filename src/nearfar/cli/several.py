"""A command line that several processes run together: the first one prints, and one alone tells what went wrong."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from nearfar.config.launch import Launch
from nearfar.errors import ConfigError

SHARED = ("train", "demo")
"""The commands that several processes share. Any other is for the first process alone."""


def launch_of(arguments: Sequence[str]) -> Launch:
    """Which of how many processes this one is.

    Raises:
        ConfigError: for a command that several processes share, when the environment says half of it.
    """
    try:
        return Launch.read()
    except ConfigError:
        if _is_shared(arguments):
            raise
        return Launch()  # what a cluster sets for others


def takes_part(arguments: Sequence[str], launch: Launch) -> bool:
    """Whether this process has anything to do for a command line."""
    return launch.first or _is_shared(arguments)


def _is_shared(arguments: Sequence[str]) -> bool:
    return next((word for word in arguments if not word.startswith("-")), "") in SHARED


@contextmanager
def quiet_unless_first(launch: Launch) -> Iterator[None]:
    """Inside, a process that is not the first one prints and warns nothing."""
    if launch.several:
        # torch would advise, once a process, to look for unused weights less thoroughly than is needed here.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if launch.first:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def voice(launch: Launch, error: BaseException | None) -> str | None:
    """What a message about an error begins with; None when it is for another process to tell.

    Several processes often fail of one cause, or because one of them has failed: one speaks, and the others, which
    wait for that a moment, leave in silence.
    """
    if not launch.several:
        return ""
    if "torch" not in sys.modules:  # they have not met: one on each machine
        return "" if launch.local_rank == 0 else None
    from nearfar.engine.together import is_lost, may_tell

    if not may_tell(after_another=error is not None and is_lost(error)):
        return None
    return "" if launch.first else f"process {launch.rank} of {launch.world}: "


def lost(launch: Launch, error: BaseException) -> str | None:
    """The message for an error that only says that another process is gone; None for any other error."""
    if not launch.several or "torch" not in sys.modules:
        return None
    from nearfar.engine.together import is_lost

    if not is_lost(error):
        return None
    return (
        "Another process of this run has ended without a word: it was killed, or ran out of memory. "
        "Everything up to the last checkpoint is saved. To go on, add --resume to the same command."
    )


def spoken(launch: Launch) -> None:
    """Let the other processes know that the error was told."""
    if launch.several and "torch" in sys.modules:
        from nearfar.engine.together import told

        told()
