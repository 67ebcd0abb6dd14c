"""Writing files so that a kill, a full disk or a second reader never meets half of one."""

import json
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
        partial.replace(path)
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
        if path.exists():
            path.replace(old)
        partial.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON atomically, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def cannot_write(path: Path, error: Exception) -> ResourceError:
    """The error for a file that could not be written."""
    reason = getattr(error, "strerror", None) or str(error)
    return ResourceError(
        f"Cannot write {path}: {reason}. Free space or choose another folder; what was there is unchanged."
    )
