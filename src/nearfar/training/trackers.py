"""Trackers as sinks: TensorBoard and Weights & Biases are given what ``training.jsonl`` is given.

A tracker opens with the first number that it gets, and one that fails is left alone from then on: training goes on, and
a warning says so once. Their packages are optional and imported here, when somebody asks for them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Protocol

from nearfar.config.read import write_yaml
from nearfar.config.run import RunConfig
from nearfar.errors import ConfigError
from nearfar.events import Event, Message, Metrics, Sink
from nearfar.training.folder import RunFolder

MODULES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}
"""What a tracker is imported as."""

_CONNECT_SECONDS = 30.0
_FINISH_SECONDS = 60.0
"""How long Weights & Biases may keep a run waiting, at its start and at its end."""


class Writer(Protocol):
    """What a tracker is to us."""

    def write(self, step: int, values: dict[str, float]) -> None:
        """Take numbers by name."""

    def close(self) -> None:
        """Write what is left."""


class Tracker:
    """A sink that gives numbers to a tracker and never raises.

    Args:
        name: of the tracker.
        open_writer: opens it, given the step of the first numbers.
        report: is told when it fails.
    """

    def __init__(self, name: str, open_writer: Callable[[int], Writer], report: Sink) -> None:
        self._name, self._open, self._report = name, open_writer, report
        self._writer: Writer | None = None
        self._done = False

    def emit(self, event: Event) -> None:
        """Pass on numbers, under the name of their group and their own."""
        if self._done or not isinstance(event, Metrics):
            return
        try:
            if self._writer is None:
                self._writer = self._open(event.step)
            self._writer.write(event.step, {f"{event.group}/{name}": value for name, value in event.values.items()})
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """Write what is left; later events are dropped."""
        if self._writer is not None and not self._done:
            try:
                self._writer.close()
            except Exception as error:
                self._give_up(error)
        self._done = True

    def _give_up(self, error: Exception) -> None:
        self._done = True
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        text = f"{self._name} failed and gets no more numbers: {reason}. Training goes on; training.jsonl has them all."
        self._report.emit(Message(level="warning", text=text))
        if self._writer is not None:
            with suppress(Exception):
                self._writer.close()


def check_trackers(config: RunConfig) -> None:
    """Raise ConfigError when the package of a tracker that is asked for is missing or broken."""
    for name in config.tracking.to:
        try:
            import_module(MODULES[name])
        except ImportError as error:
            raise ConfigError(
                f"tracking.to names {name}, which cannot be imported: {error}. Install it with "
                f"pip install 'nearfar[{name}]', or leave it out; training.jsonl and the report have the same numbers."
            ) from error


@contextmanager
def tracked(config: RunConfig, folder: RunFolder, report: Sink) -> Iterator[tuple[Sink, ...]]:
    """The trackers of a run as sinks, closed afterwards, also after an error.

    Args:
        config: ``tracking`` says which, and all of it is passed on to them.
        folder: of the run; what trackers write is in it.
        report: is told when a tracker fails.
    """
    openers: dict[str, Callable[[int], Writer]] = {
        "tensorboard": lambda step: TensorBoard(config, folder, step),
        "wandb": lambda step: WeightsAndBiases(config, folder, report),
    }
    trackers = tuple(Tracker(name, openers[name], report) for name in dict.fromkeys(config.tracking.to))
    try:
        yield trackers
    finally:
        for tracker in trackers:
            tracker.close()


class TensorBoard:
    """Event files in ``RUN/tensorboard``. A run that goes on hides what an earlier part wrote about later steps.

    Args:
        config: shown as text beside the curves.
        folder: of the run.
        step: of the first numbers.
    """

    def __init__(self, config: RunConfig, folder: RunFolder, step: int) -> None:
        module: Any = import_module(MODULES["tensorboard"])
        target = folder.path / "tensorboard"
        new = not target.is_dir()
        self._writer = module.SummaryWriter(str(target), purge_step=None if new else step, flush_secs=30)
        if new:  # TensorBoard reads the text as Markdown, in which an indented line is code
            lines = write_yaml(config).splitlines()
            self._writer.add_text("config", "\n".join(f"    {line}" for line in lines), step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class WeightsAndBiases:
    """A run at Weights & Biases. Its id is in ``run.json``, so that a run that goes on here goes on there.

    ``WANDB_MODE`` and its other variables hold. Without a key it is kept offline in the run folder, as it is when the
    server cannot be reached; nothing asks and nothing waits longer than a minute. A run that is open already, such as
    that of a sweep, is used and left open.

    Args:
        config: passed on, with the names of model and data.
        folder: of the run.
        report: is told when the run is kept offline.
    """

    def __init__(self, config: RunConfig, folder: RunFolder, report: Sink) -> None:
        self._wandb: Any = import_module(MODULES["wandb"])
        self._folder, self._report = folder, report
        self._own = self._wandb.run is None
        if not self._own:
            self._run = self._wandb.run
            return
        record = folder.read_record()
        known = record.get("trackers", {}).get("wandb")
        about = {name: record[name] for name in ("model", "data") if name in record}
        options = {
            "project": config.tracking.project,
            "name": config.tracking.name or folder.path.name,
            "config": {**config.model_dump(mode="json"), "inputs": about},
            "dir": str(folder.path),
            **({} if known is None else {"id": known, "resume": "allow"}),
        }
        self._run = self._start(options)
        folder.update_record(trackers={**record.get("trackers", {}), "wandb": self._run.id})

    def _start(self, options: dict[str, Any]) -> Any:
        self._set_up()
        if os.environ.get("WANDB_MODE"):
            return self._wandb.init(**options)
        if not self._wandb.login(prompt=False, verify=False):
            return self._offline(options, "there is no key for it")
        try:
            return self._wandb.init(**options)
        except Exception as error:
            self._wandb.teardown()  # the failed run would keep its id
            self._set_up()
            return self._offline(options, next(iter(str(error).splitlines()), type(error).__name__))

    def _set_up(self) -> None:
        settings = self._wandb.Settings(
            console="off", silent=True, init_timeout=_CONNECT_SECONDS, finish_timeout=_FINISH_SECONDS
        )
        self._wandb.setup(settings=settings)

    def _offline(self, options: dict[str, Any], reason: str) -> Any:
        run = self._wandb.init(**options, mode="offline")
        text = (
            f"wandb keeps this run offline, since {reason}. Later: wandb sync {self._folder.path / 'wandb'}/offline-*"
        )
        self._report.emit(Message(level="warning", text=text))
        return run

    def write(self, step: int, values: dict[str, float]) -> None:
        """Log at a step. Weights & Biases drops steps that it has, which a run that goes on computes again."""
        self._run.log(values, step=step)

    def close(self) -> None:
        """End the run, if it was opened here."""
        if self._own:
            self._run.finish()
