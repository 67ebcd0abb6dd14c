"""Mining while a model trains: when it is done, where its lists are kept, and which lists a step uses.

Which lists a step uses follows from the number of the step, never from how long something took, so that a run can be
repeated and goes on after a kill as if nothing had been. The lists of a step are in ``mined/STEP`` of the run folder
until no checkpoint can ask for them any more.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from nearfar.config.mining import MiningOptions
from nearfar.config.read import build
from nearfar.config.refresh import NEVER, RefreshOptions
from nearfar.config.run import RunConfig
from nearfar.data.mined import read_lists
from nearfar.data.tables import Dataset, Mined
from nearfar.encoders.fingerprint import encoder_hash
from nearfar.encoders.protocol import TorchEncoder
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.engine.together import first
from nearfar.errors import ConfigError, ResourceError
from nearfar.events import Message, Sink
from nearfar.files import replace_folder, write_json
from nearfar.training.beside import DONE, LISTS, MODEL, Beside, Task
from nearfar.training.steps import steps_of_epoch

_KEY = "key.json"
"""Says by which weights a folder is made; written first."""


@runtime_checkable
class Miner(Protocol):
    """Mines into a folder, going on with what is there, and ends with what ``data.mined`` reads."""

    def __call__(
        self, folder: Path, dataset: Dataset, encoder: TorchEncoder, options: MiningOptions, sink: Sink
    ) -> object:
        """Mine for the training split of a data set."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """After which steps negatives are mined, and from when on they are used.

    Attributes:
        start: steps before it is done first.
        every: steps from one time to the next.
        lag: steps from the mining to the first use.
    """

    start: int
    every: int
    lag: int = 0

    @classmethod
    def of(cls, options: RefreshOptions, epoch: int) -> "Schedule":
        """The schedule of the settings.

        Args:
            options: with a refresh.
            epoch: steps of an epoch.

        Raises:
            ConfigError: lists would be used only after the next ones are mined.
        """
        start, every = options.steps(epoch)
        lag = options.beside or 0
        if lag > every:
            raise ConfigError(
                f"mining.beside is {lag} steps, but the next negatives are mined after {every} ({options.refresh}). "
                "Choose at most as many, or refresh less often."
            )
        return cls(start=start, every=every, lag=lag)

    def last(self, step: int) -> int | None:
        """The last time of mining by the end of ``step`` steps, None before the first."""
        return None if step < self.start else step - (step - self.start) % self.every

    def used(self, step: int) -> int | None:
        """The time of mining whose lists the step after ``step`` steps uses, None before the first."""
        return self.last(step - self.lag)


class Refresh:
    """Keeps the negatives of a run up to date.

    Args:
        folder: where lists are kept.
        dataset: the tables.
        encoder: what is trained.
        schedule: when.
        options: what is mined and how.
        miner: who mines.
        use: takes the negatives that count from now on.
        sink: takes events.
    """

    def __init__(
        self,
        folder: Path,
        dataset: Dataset,
        encoder: TorchEncoder,
        schedule: Schedule,
        options: MiningOptions,
        miner: Miner,
        use: Callable[[Mined], object],
        sink: Sink,
    ) -> None:
        self._folder, self._dataset, self._encoder = folder, dataset, encoder
        self._schedule, self._options, self._miner = schedule, options, miner
        self._use, self._sink = use, sink
        self._seen: int | None = None
        self._used: int | None = None
        self._beside: Beside | None = None

    def before(self, step: int) -> None:
        """Have the negatives in place that the step after ``step`` steps uses. The same on every process.

        Raises:
            ResourceError: when lists cannot be written, or are gone.
        """
        if step == self._seen:
            return
        if not self._schedule.lag:
            self._mine(step)
        wanted = self._schedule.used(step)
        if wanted is not None and wanted != self._used:
            first(lambda: self._wait_for(wanted))
            self._use(read_lists(self._folder / str(wanted) / LISTS, self._dataset))
            self._used = wanted
        if self._schedule.lag:
            self._mine(step)
        self._seen = step

    def age(self, step: int) -> int | None:
        """How many steps ago the model was what it was when the negatives of step number ``step`` were mined."""
        return None if self._used is None else step - 1 - self._used

    def keep(self, checkpoints: list[int]) -> None:
        """Remove lists that no run from one of these checkpoints can ask for."""
        used = [self._schedule.used(step) for step in checkpoints]
        needed = [step for step in used if step is not None]
        if len(needed) < len(used) or not needed:
            return
        for path in self._folder.glob("[0-9]*"):
            if int(path.name) < min(needed):
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """End a process that is still mining; what it has done stays."""
        if self._beside is not None:
            self._beside.end()
            self._beside = None

    def _mine(self, step: int) -> None:
        """Mine if it is time, or start a process that does. After a stop also for the last time, if it is not done."""
        time = self._schedule.last(step)
        if time == step or (self._schedule.lag and self._seen is None and time is not None):
            first(lambda: self._make(time, time == step))

    def _make(self, time: int, now: bool) -> None:
        """Have the folder of a time of mining filled, or start a process that fills it.

        Args:
            time: after which step.
            now: whether the encoder is as it was then; otherwise its weights must be in the folder.
        """
        folder = self._folder / str(time)
        if now and _read_key(folder) != (model := encoder_hash(self._encoder)):
            shutil.rmtree(folder, ignore_errors=True)  # of a run that went another way from here
            write_json(folder / _KEY, {"model": model})
        if (folder / DONE).is_file():
            return
        how = " beside training" if self._schedule.lag else ""
        if now or (folder / MODEL).is_dir():
            self._sink.emit(Message(text=f"Mining negatives{how} with the model after {time} steps."))
        if now and not self._schedule.lag:
            with _unmoved(self._encoder):
                self._miner(folder / LISTS, self._dataset, self._encoder, self._options, self._sink)
            write_json(folder / DONE, {"step": time})
            return
        if now and not (folder / MODEL).is_dir():
            assert isinstance(self._encoder, SentenceTransformerEncoder)  # others are refused before training
            replace_folder(folder / MODEL, self._encoder.save)
        if not (folder / MODEL).is_dir():
            raise ResourceError(
                f"The negatives that were mined after {time} steps are not in {folder} any more, and training cannot "
                "go on without them. Start the run anew in another folder."
            )
        task = Task.of(self._dataset, self._encoder, self._options, self._miner)
        self._beside = Beside.start(folder, task)

    def _wait_for(self, time: int) -> None:
        """Wait until the lists of a time of mining are there."""
        if self._beside is None:
            self._make(time, now=False)
        if self._beside is not None:
            self._beside.wait()
            self._beside = None
        folder = self._folder / str(time)
        for path in (folder / MODEL, *(path for path in (folder / LISTS).iterdir() if path.is_dir())):
            shutil.rmtree(path, ignore_errors=True)  # what mining has kept for going on, such as vectors


def refresh_of(
    folder: Path,
    dataset: Dataset,
    encoder: TorchEncoder,
    config: RunConfig,
    pairs: int,
    use: Callable[[Mined], object],
    sink: Sink,
) -> Refresh | None:
    """What keeps the negatives of a run up to date; None where they stay as they are."""
    if config.mining.refresh == NEVER:
        return None
    schedule = Schedule.of(config.mining, steps_of_epoch(config, pairs))
    return Refresh(folder, dataset, encoder, schedule, _options(config), miner(), use, sink)


def check_refresh(config: RunConfig, pairs: int) -> None:
    """Raise now what wrong settings of mining would raise later.

    Raises:
        ConfigError: when they are wrong.
    """
    if config.mining.refresh == NEVER:
        return
    from nearfar.negatives.plan import Plan

    Plan.of(_options(config))
    Schedule.of(config.mining, steps_of_epoch(config, pairs))
    if not config.batches.hard_negatives:
        raise ConfigError("mining.refresh is set and batches.hard_negatives is 0: nobody would look at what is mined.")


def miner() -> Miner:
    """Who mines."""
    from nearfar.negatives.job import mine_into

    return mine_into


def _options(config: RunConfig) -> MiningOptions:
    return build(MiningOptions, config.mining.settings, "mining.settings")


def _read_key(folder: Path) -> str | None:
    with suppress(OSError, ValueError, KeyError):
        key: dict[str, Any] = json.loads((folder / _KEY).read_text(encoding="utf-8"))
        return str(key["model"])
    return None


@contextmanager
def _unmoved(encoder: TorchEncoder) -> Iterator[None]:
    """Inside, draws of random numbers do not count: a run that finds its lists there does not draw them."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([encoder.device] if encoder.device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
