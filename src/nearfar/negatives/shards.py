"""Arrays that are computed piece by piece and kept in files, so that no piece is ever computed twice.

A file carries the hash of its content in its name, so one that was cut or damaged is noticed and computed anew. Pieces
are the same however many processes compute them; when all are there they become one file, and are removed.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from nearfar.errors import ResourceError
from nearfar.events import Event, Message, Progress, Sink
from nearfar.files import atomic, cannot_write, write_json
from nearfar.negatives.engines import Engine, Task

_WHOLE = "whole"
_ATTEMPTS = 3
"""How often a piece is computed that cannot be read back, before the disk is to blame."""

Join = Callable[[Sequence[np.ndarray]], Iterable[np.ndarray]]
"""What the whole array consists of, block after block, given the pieces."""


@dataclass(frozen=True)
class Shard:
    """A piece of an array.

    Attributes:
        size: how much of the work it is, for progress.
        task: makes what computes it; called only where it has to be computed.
    """

    size: int
    task: Callable[[], Task]


@dataclass(frozen=True, eq=False)
class Kept:
    """An array in a file.

    Attributes:
        path: the file.
        array: its content, left on disk.
    """

    path: Path
    array: np.ndarray

    @property
    def digest(self) -> str:
        """The hash of the content."""
        return self.path.stem.rpartition(".")[2]


def folder_of(cache: Path, kind: str, key: Mapping[str, Any]) -> Path:
    """Where what follows from ``key`` is kept; another key is another folder."""
    text = json.dumps(key, sort_keys=True)
    return cache / f"{kind}-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def read_back(folder: Path) -> Kept | None:
    """The whole array of a folder, None where it is not there or damaged."""
    return _read(folder, _WHOLE)


def computed(
    folder: Path,
    key: Mapping[str, Any],
    rows: int,
    shards: Sequence[Shard],
    join: Join,
    engine: Engine,
    sink: Sink,
    task: str,
) -> Kept:
    """The whole array: read where it is there, else computed as far as its pieces are not there.

    Args:
        folder: where it is kept; other processes may want the same at the same time.
        key: what it follows from, for a human who looks into the folder.
        rows: how many it has.
        shards: its pieces.
        join: puts them together; one alone is the whole as it is.
        engine: computes.
        sink: takes progress.
        task: what progress is called.

    Raises:
        ResourceError: when something cannot be written or read back.
    """
    kept = read_back(folder)
    if kept is not None:
        return kept
    with alone(folder, sink):
        kept = read_back(folder)  # another process may have been faster
        if kept is not None:
            return kept
        write_json(folder / "key.json", key)
        parts = _parts(folder, shards, engine, sink, task)
        if len(parts) == 1:
            return _named(parts[0].path, _WHOLE, parts[0].digest)
        whole = _write(folder, _WHOLE, rows, join([part.array for part in parts]))
        for part in parts:
            part.path.unlink()
        return whole


def _parts(folder: Path, shards: Sequence[Shard], engine: Engine, sink: Sink, task: str) -> list[Kept]:
    """All pieces, of which those that are not there are computed."""
    for _ in range(_ATTEMPTS):
        found = [_read(folder, _name(place)) for place in range(len(shards))]
        missing = [place for place, kept in enumerate(found) if kept is None]
        if not missing:
            return [kept for kept in found if kept is not None]
        progress = _Part(sink, task, sum(shard.size for shard in shards))
        progress.finish(progress.total - sum(shards[place].size for place in missing))
        results = engine.results((shards[place].task() for place in missing), progress)
        for number, result in results:
            _write(folder, _name(missing[number]), len(result), [result])
            progress.finish(shards[missing[number]].size)
    raise ResourceError(f"What is written to {folder} cannot be read back. Is the disk broken?")


def _name(place: int) -> str:
    return f"{place:06d}"


def _write(folder: Path, name: str, rows: int, blocks: Iterable[np.ndarray]) -> Kept:
    """Write blocks of rows as one array, and the hash of the file into its name."""
    path = folder / f"{name}.npy"
    with atomic(path) as partial:
        with partial.open("wb") as stream:
            for number, block in enumerate(blocks):
                if not number:
                    described = np.lib.format.dtype_to_descr(block.dtype)
                    header = {"descr": described, "fortran_order": False, "shape": (rows, *block.shape[1:])}
                    np.lib.format.write_array_header_1_0(stream, header)
                stream.write(np.ascontiguousarray(block).data)
        digest = _digest(partial)
    return _named(path, name, digest)


def _named(path: Path, name: str, digest: str) -> Kept:
    """An array under a name that has the hash of its content in it."""
    named = path.with_name(f"{name}.{digest}.npy")
    try:
        path.replace(named)
    except OSError as error:
        raise cannot_write(named, error) from error
    return Kept(named, np.load(named, mmap_mode="r"))


def _read(folder: Path, name: str) -> Kept | None:
    """An array that was kept, None where it is not there or not what its name says."""
    for path in sorted(folder.glob(f"{name}.*.npy")):
        kept = Path(path)
        try:
            if _digest(kept) == kept.stem.rpartition(".")[2]:
                return Kept(kept, np.load(kept, mmap_mode="r"))
        except (OSError, ValueError):  # removed or cut by somebody else meanwhile
            continue
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


@contextmanager
def alone(folder: Path, sink: Sink) -> Iterator[None]:
    """Be the only process that computes what belongs into a folder; the system ends the lock with its holder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            sink.emit(Message(text=f"Waiting for another process that computes what belongs into {folder}."))
            lock.acquire()
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield
    finally:
        lock.release()


class _Part:
    """Passes on the progress of a piece as progress of the whole."""

    def __init__(self, sink: Sink, task: str, total: int) -> None:
        self._sink, self._task, self._done, self.total = sink, task, 0, total

    def finish(self, size: int) -> None:
        """Say that so much more is finished."""
        self._done += size
        self._sink.emit(Progress(task=self._task, done=self._done, total=self.total))

    def emit(self, event: Event) -> None:
        """Take one event of the piece that is being computed."""
        if isinstance(event, Progress):
            event = Progress(task=self._task, done=min(self._done + event.done, self.total), total=self.total)
        self._sink.emit(event)
