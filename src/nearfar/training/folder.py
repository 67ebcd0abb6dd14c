"""The folder of a run: where everything is, and the rule that nothing in it is ever overwritten unasked."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.errors import ConfigError, ResourceError, did_you_mean
from nearfar.files import write_json, write_text
from nearfar.training.lock import LOCK, check_unlocked

FINISHED = "finished"
MINE = "mine"
"""What the record of a mining job says of its kind."""


@dataclass(frozen=True)
class RunFolder:
    """Names of what a run writes.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The configuration, as YAML."""
        return self.path / "config.yaml"

    @property
    def record(self) -> Path:
        """What was run on what, with seeds, hashes, environment, and timings."""
        return self.path / "run.json"

    @property
    def data(self) -> Path:
        """What the data held."""
        return self.path / "data.json"

    @property
    def curves(self) -> Path:
        """Losses and dev scores, one JSON object a line."""
        return self.path / "training.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The loop's checkpoints."""
        return self.path / "checkpoints"

    @property
    def teacher(self) -> Path:
        """Vectors of the training texts by another encoder, if the run has a teacher."""
        return self.path / "teacher"

    @property
    def mined(self) -> Path:
        """Negatives that were mined while the model was trained, by the number of steps before."""
        return self.path / "mined"

    @property
    def model(self) -> Path:
        """The tuned model: a sentence-transformers folder."""
        return self.path / "model"

    @property
    def evaluation(self) -> Path:
        """Scores, rankings and vectors of each system."""
        return self.path / "evaluation"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    def read_record(self) -> dict[str, Any]:
        """The record of the run, empty when there is none.

        Raises:
            ResourceError: when it cannot be read.
        """
        if not self.record.is_file():
            return {}
        try:
            record: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ResourceError(f"{self.record} is damaged ({error}). Start the run anew in another folder.") from error
        return record

    def read_scores(self) -> dict[str, Any]:
        """The scores of a finished run."""
        scores: dict[str, Any] = json.loads((self.evaluation / "scores.json").read_text(encoding="utf-8"))
        return scores

    def update_record(self, **entries: Any) -> dict[str, Any]:
        """Add entries to the record and write it; gives the whole."""
        record = {**self.read_record(), **entries}
        write_json(self.record, record)
        return record


class Onlooker(RunFolder):
    """A run folder in the hands of a process that is not the first of several: it reads, another one writes."""

    def update_record(self, **entries: Any) -> dict[str, Any]:
        """Nothing is written; gives the record as it is."""
        return self.read_record()


def check_run(path: Path, config: str, inputs: dict[str, str], resume: bool) -> None:
    """Make sure that a run can start in a folder, or go on there. Changes nothing.

    Args:
        path: the folder.
        config: the configuration as text; a run that goes on must have the same.
        inputs: the names of data and model; likewise.
        resume: whether going on with an existing run is wanted.

    Raises:
        ResourceError: when the folder cannot be written, holds a run and ``resume`` is not wanted, or another process
            is at work in it.
        ConfigError: when it holds a run with another configuration (the differences are listed).
    """
    check_unlocked(path)
    _check(path, config, inputs, resume)


def check_new(path: Path) -> Path:
    """Make sure that ``path`` can become a folder of ours: it is missing or empty, and can be written.

    Raises:
        ResourceError: when it is not so.
    """
    if path.exists() and not path.is_dir():
        raise ResourceError(f"{path} is a file. Choose a folder with --out.")
    if _holds_something(path):
        raise ResourceError(f"{path} is not empty. Nothing was changed; choose another folder with --out.")
    above = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ResourceError(f"Cannot write into {above}. Choose another folder with --out.")
    return path


def open_run(path: Path, config: str, inputs: dict[str, str], resume: bool) -> RunFolder:
    """Start a run folder, or go on with one, which the caller has ``locked``; all else is as in ``check_run``."""
    _check(path, config, inputs, resume)
    folder = RunFolder(path)
    if not folder.record.is_file():
        folder.update_record(**inputs, state="started")
    if not folder.config.is_file():  # also when a kill came between the two
        write_text(folder.config, config)
    return folder


def read_run(path: Path) -> RunFolder:
    """An existing run folder.

    Raises:
        ConfigError: when there is none at ``path``.
    """
    folder = RunFolder(path)
    if not folder.record.is_file():
        siblings = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, siblings) if not path.exists() else " It has no run.json."
        raise ConfigError(f"{path} is not the folder of a run.{hint} nearfar train writes one.")
    return folder


@contextmanager
def tells_how_to_go_on() -> Iterator[None]:
    """Add to the error of a full disk or the like, which ends a run under way, how the run can go on."""
    try:
        yield
    except ResourceError as error:
        if "--resume" in str(error):
            raise
        raise ResourceError(f"{error} To go on then, run the same command with --resume.") from error


def _holds_something(path: Path) -> bool:
    """Whether a folder has anything in it beside the lock."""
    return path.is_dir() and any(entry.name != LOCK for entry in path.iterdir())


def _check(path: Path, config: str, inputs: dict[str, str], resume: bool) -> None:
    if _holds_something(path):
        _check_resumable(RunFolder(path), config, inputs, resume)
    else:
        check_new(path)


def _check_resumable(folder: RunFolder, config: str, inputs: dict[str, str], resume: bool) -> None:
    record = folder.read_record()
    if not record:
        raise ResourceError(f"{folder.path} is not empty and holds no run. Nothing was changed; choose another --out.")
    if not resume:
        state, hint = (
            ("a finished run", "To train anew,")
            if record.get("state") == FINISHED
            else ("an unfinished run", "Go on with it by adding --resume, or")
        )
        raise ResourceError(f"{folder.path} already holds {state}. Nothing was changed. {hint} choose another --out.")
    there = folder.config.read_text(encoding="utf-8") if folder.config.is_file() else config
    changes = [_change(name, record.get(name), value) for name, value in inputs.items() if record.get(name) != value]
    if there != config:
        changes += _changes(there, config)
    if changes:
        raise ConfigError(
            f"{folder.path} holds a run with other settings:\n"
            + "".join(f"  {change}\n" for change in changes)
            + "Nothing was changed. Use the settings of the run, or another --out."
        )


def _changes(old: str, new: str) -> list[str]:
    """What differs between two configurations, one setting a line."""
    import yaml

    try:
        before, after = _flat(yaml.safe_load(old) or {}), _flat(yaml.safe_load(new) or {})
    except (yaml.YAMLError, AttributeError):
        return ["config.yaml of the run is damaged"]
    return [
        _change(key, before.get(key, _MISSING), after.get(key, _MISSING))
        for key in dict.fromkeys([*before, *after])
        if before.get(key, _MISSING) != after.get(key, _MISSING)
    ]


def _change(name: str, old: object, new: object) -> str:
    return f"{name}: {_shown(old)} -> {_shown(new)}"


def _shown(value: object) -> str:
    plain = value is _MISSING or (isinstance(value, str) and value and value == value.strip())
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


_MISSING = "(not there)"
"""Stands for a setting that one of two configurations lacks, as in a run of another version."""
