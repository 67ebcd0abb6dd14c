"""Writing files so that a kill, a full disk or a second reader never meets half of one."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nearfar.errors import ResourceError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it becomes ``path`` at the end, and vanishes if anything goes wrong.

    Raises:
        ResourceError: when the disk is full or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        sync(partial)
        partial.replace(path)
        sync(path.parent, deep=False)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            with suppress(OSError):  # the error above says more than that there is nothing to remove
                partial.unlink()


def replace_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Fill a new folder through ``write`` and put it in the place of ``path``, which stays until then."""
    partial, old = (path.with_name(f".{path.name}.{word}") for word in ("partial", "old"))
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write(partial)
        sync(partial)
        if path.exists():
            path.replace(old)
        partial.replace(path)
        sync(path.parent, deep=False)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def sync(path: Path, deep: bool = True) -> None:
    """Wait until a file, or a folder and all that is in it, has reached the disk.

    Without this a machine that loses power can keep a new name and lose the content behind it.

    Args:
        path: the file or folder.
        deep: for a folder, whether what is in it counts as well as its list of names.

    Raises:
        OSError: when the disk is full after all, or broken.
    """
    inside = [entry for entry in path.rglob("*") if entry.exists()] if deep and path.is_dir() else []
    for each in (*inside, path):
        if each.is_dir():
            with suppress(OSError):  # not every system can; what counts is in the files
                _sync(each)
        else:
            _sync(each)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON atomically, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: Exception) -> ResourceError:
    """The error for a file that could not be written."""
    return ResourceError(
        f"Cannot write {path}: {reason_of(error)}. Free space or choose another folder; what was there is unchanged."
    )


def reason_of(error: BaseException) -> str:
    """What went wrong with a file, in a few words: what the system said, wherever in the chain of errors it is."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    # A library's own words, such as how many bytes it could not write.
    return f"{str(error).strip().partition(chr(10))[0].rstrip('.') or type(error).__name__} (is the disk full?)"
