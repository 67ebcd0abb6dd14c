"""Sets of the ``datasets`` library: folders that it saved, and names on a hub. Never waits for a dead network."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import ModuleType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from nearfar.data.collect import SPLIT_NAMES, Table
from nearfar.data.files import Record, Rows, counted
from nearfar.data.tables import UNSPLIT
from nearfar.errors import DataError, ResourceError
from nearfar.events import Sink

SAVED = ("dataset_dict.json", "state.json")
"""A folder with one of these was written by ``save_to_disk``."""


def looks_saved(folder: Path) -> bool:
    """Whether ``save_to_disk`` wrote this folder."""
    return any((folder / name).is_file() for name in SAVED)


def saved_tables(folder: Path, sink: Sink) -> tuple[list[Table], list[str]]:
    """The parts of a saved set, and notes.

    Raises:
        ResourceError: the library is not installed.
        DataError: the folder cannot be read, or none of its parts is a split.
    """
    library = _library(f"{folder} was saved by the datasets library")
    try:
        content = library.load_from_disk(str(folder))
    except Exception as error:  # any of the many that Arrow and the library raise for a damaged folder
        raise DataError(f"{folder}: cannot be read as a saved set ({_first_line(error)}). Save it again.") from None
    return _tables(content, str(folder), sink)


def hub_tables(name: str, sink: Sink) -> tuple[list[Table], list[str]]:
    """The parts of a set on the hub, ``owner/name`` or ``owner/name:config``, and notes.

    With ``HF_HUB_OFFLINE`` or ``HF_DATASETS_OFFLINE`` set only the local cache is asked.

    Raises:
        ResourceError: the library is not installed, the hub does not answer in time, or it has no such set.
        DataError: none of its parts is a split.
    """
    library = _library(f"{name!r} is no local path, so it was taken for a set on the hub")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    offline = any(os.environ.get(key, "").upper() in {"1", "ON", "YES", "TRUE"} for key in OFFLINE)
    if not offline and not reachable(endpoint, float(os.environ.get("HF_HUB_ETAG_TIMEOUT", "5"))):
        raise ResourceError(
            f"{name!r} is no local path, and the hub at {endpoint} cannot be reached. Check the path, or the network; "
            "if the set is in the local cache, set HF_HUB_OFFLINE=1."
        )
    identifier, _, config = name.partition(":")
    try:
        content = library.load_dataset(identifier, config or None)
    except Exception as error:  # the library raises several dozen kinds
        where = "the local cache" if offline else endpoint
        raise ResourceError(
            f"{name!r} is no local path, and could not be loaded from {where}: {_first_line(error)}. "
            "Write owner/name, or owner/name:config where a set has several."
        ) from None
    return _tables(content, name, sink)


OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


def reachable(endpoint: str, seconds: float) -> bool:
    """Whether anything answers at an address within ``seconds``, looking up its name included."""
    answers: Queue[bool] = Queue()

    def ask() -> None:
        try:
            with urlopen(Request(endpoint, method="HEAD"), timeout=seconds):
                answers.put(True)
        except HTTPError as error:
            error.close()
            answers.put(True)
        except (OSError, ValueError):
            answers.put(False)

    Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except Empty:
        return False


def _library(why: str) -> ModuleType:
    try:
        import datasets
    except ImportError:
        raise ResourceError(f"{why}, and that library is missing: pip install nearfar[hub].") from None
    module: ModuleType = datasets
    return module


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def _tables(content: Any, name: str, sink: Sink) -> tuple[list[Table], list[str]]:
    """A table for each part whose name is a split; a part that stands alone needs no such name."""
    parts: Mapping[str, Any] = content if isinstance(content, Mapping) else {UNSPLIT: content}
    known = {part: SPLIT_NAMES[part.lower()] for part in parts if part.lower() in SPLIT_NAMES}
    if not known and len(parts) == 1:
        known = dict.fromkeys(parts, UNSPLIT)
    if not known:
        raise DataError(f"{name}: none of the parts {', '.join(parts)} is a split. Expected train, validation or test.")
    tables = [
        Table(file=f"{name}[{part}]", split=split, rows=counted(_rows(parts[part]), f"{name}[{part}]", sink))
        for part, split in known.items()
    ]
    ignored = [part for part in parts if part not in known]
    return tables, [f"Parts that are no split were ignored: {', '.join(ignored)}."] if ignored else []


def _rows(part: Any) -> Rows:
    """The rows of one part, counted from 1; class numbers become class names."""
    names = {column: kind.names for column, kind in part.features.items() if hasattr(kind, "names")}
    number = 0
    for batch in _batches(part):
        for record in batch:
            number += 1
            for column, classes in names.items():
                if isinstance(record[column], int) and 0 <= record[column] < len(classes):
                    record[column] = classes[record[column]]
            yield number, record


def _batches(part: Any) -> Iterator[Iterable[Record]]:
    for table in part.with_format("arrow").iter(batch_size=4096):
        yield table.to_pylist()
