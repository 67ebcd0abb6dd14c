"""The terminal as a sink: progress bars and messages on the error stream, so that results can be piped."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nearfar.events import Event, Message, Progress, Sink

_REFRESH = 0.1
"""Seconds between two updates of a bar."""


def default_sink() -> Sink:
    """Bars and messages when someone is watching the terminal, warnings alone otherwise."""
    return Console() if sys.stderr.isatty() else Warnings()


@contextmanager
def shown(sink: Sink | None) -> Iterator[Sink]:
    """The given sink; else the terminal's, whose bars are gone afterwards, also after an error."""
    watched = default_sink() if sink is None else sink
    try:
        yield watched
    finally:
        if sink is None and isinstance(watched, Console):
            watched.close()


class Warnings:
    """Writes warnings to the error stream and drops everything else."""

    def emit(self, event: Event) -> None:
        """Write a warning."""
        if isinstance(event, Message) and event.level == "warning":
            sys.stderr.write(f"warning: {event.text}\n")


class Console:
    """Shows progress with rich. Bars vanish when their task is done; messages and dev scores stay."""

    def __init__(self) -> None:
        from rich.console import Console as RichConsole

        self._console = RichConsole(stderr=True, highlight=False)
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._shown: dict[str, float] = {}

    def emit(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Message):
            style = "yellow" if event.level == "warning" else "dim"
            self._console.print(event.text, style=style, markup=False)
        elif event.group == "dev":
            scores = "  ".join(f"{name} {value:.4f}" for name, value in event.values.items())
            self._console.print(f"step {event.step}: dev {scores}", style="dim", markup=False)

    def close(self) -> None:
        """Remove the bars that are left, as after an error."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
        self._tasks.clear()

    def _progress(self, event: Progress) -> None:
        finished = event.total is not None and event.done >= event.total
        if finished:
            if event.task in self._tasks:
                self._bars.remove_task(self._tasks.pop(event.task))
            if not self._tasks:
                self.close()
            return
        if self._bars is None:
            self._bars = _bars(self._console)
            self._bars.start()
        if event.task not in self._tasks:
            self._tasks[event.task] = self._bars.add_task(event.task, total=event.total)
            self._shown[event.task] = 0.0
        now = time.monotonic()
        if now - self._shown[event.task] >= _REFRESH:
            self._bars.update(self._tasks[event.task], completed=event.done, total=event.total)
            self._shown[event.task] = now


def _bars(console: Any) -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
