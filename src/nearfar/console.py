"""The terminal as a sink: progress bars and messages on the error stream, so that results can be piped."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nearfar.events import Event, Message, Metrics, Progress, Sink

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


TRAINING = "Training"
"""The task whose bar shows the last numbers of training."""

_ASIDE = (("loss", "loss", "#.4g"), ("accuracy", "accuracy", ".0%"), ("learning_rate", "rate", ".1e"))
"""What stands beside that bar: the name of a number, what it is called there, and its form."""


class Console:
    """Shows progress with rich. Bars vanish when their task is done; messages and dev scores stay.

    Beside the bar of training stand the loss, the accuracy in the batch and the learning rate as they were last logged.
    """

    def __init__(self) -> None:
        from rich.console import Console as RichConsole

        self._console = RichConsole(stderr=True, highlight=False)
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._shown: dict[str, float] = {}
        self._aside = ""

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
        elif event.group == "train":
            self._aside = aside(event)

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
            self._tasks[event.task] = self._bars.add_task(event.task, total=event.total, aside="")
            self._shown[event.task] = 0.0
        now = time.monotonic()
        if now - self._shown[event.task] >= _REFRESH:
            beside = self._aside if event.task == TRAINING else ""
            self._bars.update(self._tasks[event.task], completed=event.done, total=event.total, aside=beside)
            self._shown[event.task] = now


def aside(event: Metrics) -> str:
    """``loss 1.234  accuracy 56%  rate 4.2e-05``: what is known of these."""
    return "  ".join(f"{short} {event.values[name]:{form}}" for name, short, form in _ASIDE if name in event.values)


def _bars(console: Any) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Left(ProgressColumn):
        """How much longer it takes, once that can be told; how long it has taken where the end is not known."""

        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            if task.total is None:
                return Text(duration(task.elapsed or 0.0), style="dim")
            return Text(f"{duration(task.time_remaining)} left" if task.time_remaining else "", style="dim")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[aside]}", style="dim", markup=False),
        Left(table_column=Column(no_wrap=True)),
        console=console,
        transient=True,
    )


def duration(seconds: float | int) -> str:
    """``1:02:03``, or ``2:03`` below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
