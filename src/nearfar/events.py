"""What long work reports while it runs. The core emits events to a sink and never prints.

A sink is anything with ``emit``. ``Silent`` drops everything, ``JsonLines`` writes one object a line,
``Fanout`` feeds several; the terminal is ``nearfar.console.Console``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from nearfar.files import cannot_write

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """``done`` of ``total`` units of ``task`` are finished; ``total`` is None while it is unknown."""

    task: str
    done: int
    total: int | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A sentence for a human. ``level`` is ``info`` or ``warning``."""

    text: str
    level: str = "info"


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Named numbers at a training step; ``group`` is ``train`` or ``dev``."""

    step: int
    group: str
    values: Mapping[str, float] = field(default_factory=dict)


Event = Progress | Message | Metrics


@runtime_checkable
class Sink(Protocol):
    """Where events go."""

    def emit(self, event: Event) -> None:
        """Take one event. Must be cheap and must not raise."""


class Silent:
    """Drops every event."""

    def emit(self, event: Event) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Fanout:
    """Gives every event to each of several sinks, in order."""

    sinks: tuple[Sink, ...]

    def emit(self, event: Event) -> None:
        """Pass the event on."""
        for sink in self.sinks:
            sink.emit(event)


@dataclass(frozen=True)
class JsonLines:
    """Appends messages and metrics, one JSON object a line, to ``path``. Progress is not kept."""

    path: Path

    def emit(self, event: Event) -> None:
        """Append one line, unless the event is progress.

        Raises:
            ResourceError: when it cannot be written, as on a full disk. Nobody wants a run without its curves.
        """
        if isinstance(event, Progress):
            return
        record: dict[str, object]
        if isinstance(event, Metrics):
            record = {"step": event.step, "group": event.group, **event.values}
        else:
            record = {"level": event.level, "message": event.text}
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
        except OSError as error:
            raise cannot_write(self.path, error) from error


def track(items: Iterable[Item], task: str, sink: Sink, total: int | None = None, step: int = 1) -> Iterator[Item]:
    """Yield ``items`` and report progress after each; ``step`` is how many units one item stands for."""
    done = 0
    sink.emit(Progress(task=task, done=0, total=total))
    for item in items:
        yield item
        done = done + step if total is None else min(done + step, total)
        sink.emit(Progress(task=task, done=done, total=total))
