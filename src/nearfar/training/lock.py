"""One process at a time in a run folder: a lock that the system gives back however its holder ends."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from nearfar.errors import ResourceError
from nearfar.files import cannot_write

LOCK = ".lock"
"""A file in the run folder. It stays there; what counts is whether a process holds the lock on it."""


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run folder, which is made if it is not there.

    Raises:
        ResourceError: when another process holds it, or the folder cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise cannot_write(run, error) from error
    with file:
        if not _take_patiently(file):
            raise _in_use(run, file)
        with suppress(OSError):  # on a full disk nobody learns who holds the lock, but it is held
            file.truncate(0)
            json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
            file.flush()
        yield


def check_unlocked(run: Path) -> None:
    """Raise ResourceError when another process holds a run folder. Changes nothing."""
    try:
        file = (run / LOCK).open("r", encoding="utf-8")
    except OSError:
        return
    with file:
        if not _take(file, shared=True):
            raise _in_use(run, file)


def _take_patiently(file: TextIO) -> bool:
    """Try for a moment: somebody who only checks the lock holds it for a blink."""
    for _ in range(10):
        if _take(file):
            return True
        time.sleep(0.05)
    return False


def _take(file: TextIO, shared: bool = False) -> bool:
    """Whether the lock could be taken; it is given back when the file is closed, also by the end of the process."""
    try:
        import fcntl
    except ImportError:  # a system without such locks
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _in_use(run: Path, file: TextIO) -> ResourceError:
    holder: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        file.seek(0)
        holder = json.load(file)
    who = f"process {holder['pid']} on {holder['host']}" if {"pid", "host"} <= holder.keys() else "another process"
    return ResourceError(
        f"{run} is in use by {who}. Nothing was changed. Wait until it ends, stop it, or choose another --out."
    )
