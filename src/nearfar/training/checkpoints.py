"""Checkpoints: each one sealed with a manifest, checked against it before it is used, and the last good ones kept.

A kill or a full disk can leave a checkpoint half-written, and a disk can lose or change what was written. The manifest
is written last, after everything else has reached the disk: where there is none, the checkpoint was never complete, and
where it does not fit, the checkpoint is damaged.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.files import sync, write_json

COMPLETE = "manifest.json"
"""The manifest: names, sizes and hashes of the other files, and the step of the best checkpoint so far."""
DAMAGED = "damaged"
"""The folder, beside the checkpoints, of those that cannot be gone on from."""

_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Found:
    """Where training goes on.

    Attributes:
        path: a checkpoint; None when training starts at step 0.
        notes: what was skipped and why, sentences for a human.
    """

    path: Path | None
    notes: tuple[str, ...] = ()

    @property
    def step(self) -> int:
        """The last step that was done."""
        return 0 if self.path is None else step_of(self.path)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    found = _NAME.fullmatch(checkpoint.name)
    assert found is not None
    return int(found[1])


def seal(checkpoint: Path, best_step: int | None) -> None:
    """Write the manifest of a checkpoint, once all of its files have reached the disk.

    Args:
        checkpoint: the folder.
        best_step: the step of the best checkpoint so far, which the run must have as well to go on.

    Raises:
        OSError: when a file cannot be read or synchronised.
        ResourceError: when the manifest cannot be written.
    """
    files = {}
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != COMPLETE):
        files[path.relative_to(checkpoint).as_posix()] = {"bytes": path.stat().st_size, "blake2b": _hash(path)}
    sync(checkpoint)
    write_json(checkpoint / COMPLETE, {"step": step_of(checkpoint), "best_step": best_step, "files": files})
    sync(checkpoint.parent, deep=False)


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, in words; None when every file is as it was written."""
    try:
        files: dict[str, dict[str, Any]] = _manifest(checkpoint)["files"]
        for name, entry in files.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is missing"
            if (size := path.stat().st_size) != entry["bytes"]:
                return f"{name} has {size:,} bytes, {entry['bytes']:,} were written"
            if _hash(path) != entry["blake2b"]:
                return f"the content of {name} is not what was written"
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"its {COMPLETE} cannot be read"
    return None


def complete_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that were written to the end, oldest first."""
    return sorted((path for path in _all(folder) if (path / COMPLETE).is_file()), key=step_of)


def find_usable(folder: Path) -> Found:
    """The newest checkpoint from which a run can go on: undamaged, and so is the best one that it speaks of.

    The ones after it are moved into ``damaged``, since training will write these steps again; nothing is removed.
    """
    notes: list[str] = []
    skipped: list[Path] = []
    chosen: Path | None = None
    for path in reversed(complete_checkpoints(folder)):
        if (reason := _unusable(path)) is None:
            chosen = path
            break
        skipped.append(path)
        notes.append(f"The checkpoint {path} was skipped: {reason}.")
    for path in skipped:
        _set_aside(path)
    if skipped:
        end = f"Training goes on from {chosen.name}" if chosen else "No other is left, so training starts at step 0"
        notes.append(f"{end}. What was skipped is in {folder / DAMAGED}; it may be deleted.")
    return Found(chosen, tuple(notes))


def of_other_ranks(found: Found, world: int) -> Found:
    """What was found, with a note when another number of processes wrote it: random numbers are drawn in each."""
    if found.path is None:
        return found
    before = max(len(list(found.path.glob("rng_state_*.pth"))), 1)
    if before == world:
        return found
    note = (
        f"Going on with {_processes(world)} where {before} wrote {found.path.name}: the steps are the same, but "
        "dropout is drawn anew, so the result is not bit for bit that of a run without interruption."
    )
    return Found(found.path, (*found.notes, note))


def _processes(count: int) -> str:
    return f"{count} processes" if count > 1 else "1 process"


def drop_incomplete_checkpoints(folder: Path) -> None:
    """Remove what a kill or a full disk left half-written."""
    for path in list(_all(folder)):
        if not (path / COMPLETE).is_file():
            shutil.rmtree(path, ignore_errors=True)


def keep_checkpoints(folder: Path) -> None:
    """Remove every checkpoint but the two newest and the best ones that these two speak of.

    The mark of completeness goes first, in case of a kill.
    """
    newest = complete_checkpoints(folder)[-2:]
    kept = {step_of(path) for path in newest} | {_best_step(path) for path in newest}
    for path in list(_all(folder)):
        if step_of(path) not in kept:
            (path / COMPLETE).unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def _all(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name))


def _manifest(checkpoint: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((checkpoint / COMPLETE).read_text(encoding="utf-8"))
    return manifest


def _best_step(checkpoint: Path) -> int | None:
    """The step of the best checkpoint so far, as a checkpoint has it; None when there was none or it is damaged."""
    try:
        best: int | None = _manifest(checkpoint)["best_step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return best


def _unusable(checkpoint: Path) -> str | None:
    """Why a run cannot go on from a checkpoint; None when it can."""
    if (reason := damage(checkpoint)) is not None:
        return reason
    best_step = _best_step(checkpoint)
    if best_step is None or best_step == step_of(checkpoint):
        return None
    best = checkpoint.parent / f"checkpoint-{best_step}"
    if not (best / COMPLETE).is_file():
        return f"the best checkpoint before it, {best.name}, is missing"
    reason = damage(best)
    return None if reason is None else f"the best checkpoint before it, {best.name}, is damaged: {reason}"


def _set_aside(checkpoint: Path) -> None:
    aside = checkpoint.parent / DAMAGED
    aside.mkdir(exist_ok=True)
    target, number = aside / checkpoint.name, 1
    while target.exists():
        number += 1
        target = aside / f"{checkpoint.name}.{number}"
    checkpoint.rename(target)


def _hash(path: Path) -> str:
    """128 bits over the content of a file. A gigabyte takes about a second."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
