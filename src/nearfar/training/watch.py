"""Watching the loop: when it evaluates and saves, what it reports, and how it is stopped."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from nearfar.config.launch import Launch
from nearfar.engine.step import Step
from nearfar.engine.together import each_of
from nearfar.events import Metrics, Progress, Sink

AGE = "negatives_age"
"""How many steps ago the model was what it was when the negatives of a step were mined."""


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Decides when to evaluate, reports progress, and stops cleanly when asked to.

    Args:
        points: the steps after which the dev search runs and a checkpoint is kept.
        sink: takes events.
        save_every: a checkpoint also after every so many steps.
        save_minutes: a checkpoint also when the last one is so many minutes old.
    """

    def __init__(
        self,
        points: frozenset[int],
        sink: Sink,
        save_every: int | None = None,
        save_minutes: float | None = None,
    ) -> None:
        self._points, self._sink = points, sink
        self._save_every, self._save_minutes, self._saved = save_every, save_minutes, time.monotonic()
        self.interrupted = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """The clock of the checkpoints starts."""
        self._saved = time.monotonic()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """The clock of the checkpoints starts again."""
        self._saved = time.monotonic()

    def _save_is_due(self, step: int) -> bool:
        by_step = self._save_every is not None and step % self._save_every == 0
        return by_step or (self._save_minutes is not None and time.monotonic() - self._saved > 60 * self._save_minutes)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Have a step observed when it is one that will be logged."""
        step = more.get("model")
        if isinstance(step, Step):
            step.observed = state.is_world_process_zero and (state.global_step + 1) % state.logging_steps == 0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> TrainerControl:
        """Progress; the dev search and a checkpoint at the chosen steps; a last checkpoint when interrupted."""
        self._sink.emit(Progress(task="Training", done=state.global_step, total=state.max_steps))
        if state.global_step in self._points:
            control.should_evaluate = control.should_save = True
        # The clocks of several processes differ, and so does when a signal arrives; all act after the same step.
        due, self.interrupted = each_of(self._save_is_due(state.global_step), self.interrupted)
        if due:
            control.should_save = True
        if self.interrupted:
            control.should_save = control.should_training_stop = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **more: Any,
    ) -> None:
        """Pass on loss, learning rate, gradient norm and epoch, and what the step looked like from inside."""
        if logs and "loss" in logs:
            names = ("loss", "learning_rate", "grad_norm", "epoch", AGE)
            values = {name: float(logs[name]) for name in names if name in logs}
            step = more.get("model")
            if isinstance(step, Step) and step.seen is not None:
                values |= step.seen.values()
                step.seen = None
            self._sink.emit(Metrics(step=state.global_step, group="train", values=values))


def evaluation_points(steps: int, evaluations: int) -> frozenset[int]:
    """The steps after which the dev search runs: evenly spaced, the last step among them."""
    count = min(evaluations, steps)
    return frozenset(round(steps * (place + 1) / count) for place in range(count))


@contextmanager
def stop_on_interrupt(watch: Watch) -> Iterator[None]:
    """Inside, Ctrl-C or SIGTERM asks the loop to stop after its step and to save; a second Ctrl-C stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: Any) -> None:
        watch.interrupted = True
        if number == signal.SIGINT and not Launch.read().launched:  # torchrun passes on what the terminal sent already
            # Not what was there before: a job in the background starts with the signal ignored, and could not be ended.
            signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_as_interrupted() -> Iterator[None]:
    """Inside, SIGTERM is what Ctrl-C is, so that what is open gets closed; unless the program has plans of its own."""
    plain = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if plain:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        if plain:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
