"""When a checkpoint is due, and what ends a run."""

import os
import signal
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import TrainerControl, TrainerState

from nearfar.events import Metrics, Progress, Silent
from nearfar.training import watch as watching
from nearfar.training.watch import Watch, ended_as_interrupted, evaluation_points, stop_on_interrupt

pytestmark = pytest.mark.usefixtures("without_annotation_checks")


def saves(watch, steps, clock=None):
    """The steps after which the watch asks for a checkpoint, without a dev search."""
    asked = []
    for step in steps:
        control = watch.on_step_end(None, TrainerState(global_step=step, max_steps=100), TrainerControl())
        assert not control.should_evaluate
        if control.should_save:
            asked.append(step)
            watch.on_save(None, None, None)
        if clock is not None:
            clock.now += 20
    return asked


class Collected:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(watching.time, "monotonic", lambda: self.now)


def test_a_checkpoint_after_every_so_many_steps():
    assert saves(Watch(frozenset(), Silent(), save_every=4), range(1, 13)) == [4, 8, 12]
    assert saves(Watch(frozenset(), Silent()), range(1, 13)) == []


def test_a_checkpoint_when_the_last_one_is_too_old(monkeypatch):
    clock = Clock(monkeypatch)
    watch = Watch(frozenset(), Silent(), save_minutes=1.0)
    clock.now += 500  # measuring the base model takes time, and is not training
    watch.on_train_begin(None, None, None)
    assert saves(watch, range(1, 13), clock) == [5, 9]  # of 20 seconds each: more than a minute after the last one
    watch.on_save(None, None, None)  # a dev search saves as well
    assert saves(watch, range(13, 17), clock) == []


def test_sigterm_asks_as_ctrl_c_does_and_never_cuts_the_step_short():
    watch = Watch(frozenset(), Silent())
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_interrupt(watch):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert watch.interrupted
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_of_a_launched_process_is_passed_on_twice_and_means_one(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    watch = Watch(frozenset(), Silent())
    with stop_on_interrupt(watch):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        assert watch.interrupted


def test_sigterm_outside_of_the_loop_is_ctrl_c():
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt), ended_as_interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_program_that_has_plans_for_sigterm_keeps_them():
    mine = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: mine.append(number))
    try:
        with ended_as_interrupted():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert mine == [signal.SIGTERM]


def test_in_a_thread_signals_are_left_alone():
    found = []

    def work():
        with ended_as_interrupted():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


@given(steps=st.integers(1, 5000), evaluations=st.integers(1, 200))
def test_evaluations_are_evenly_spaced_and_the_last_is_at_the_end(steps, evaluations):
    points = sorted(evaluation_points(steps, evaluations))
    assert len(points) == min(steps, evaluations)
    assert points[0] >= 1
    assert points[-1] == steps
    gaps = [after - before for before, after in zip([0, *points], points, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_evaluation_points_by_hand():
    assert evaluation_points(10, 4) == {2, 5, 8, 10}
    assert evaluation_points(3, 10) == {1, 2, 3}


def test_the_watch_asks_for_evaluation_at_its_points_only():
    sink = Collected()
    watch = Watch(frozenset({2}), sink)
    state = TrainerState(global_step=1, max_steps=4)
    control = watch.on_step_end(None, state, TrainerControl())
    assert not control.should_evaluate
    assert not control.should_save
    state.global_step = 2
    control = watch.on_step_end(None, state, TrainerControl())
    assert control.should_evaluate
    assert control.should_save
    assert not control.should_training_stop
    assert sink.events == [Progress(task="Training", done=step, total=4) for step in (1, 2)]


@pytest.mark.parametrize("step", [1, 2])
def test_an_interrupted_watch_saves_and_stops(step):
    watch = Watch(frozenset({2}), Collected())
    watch.interrupted = True
    control = watch.on_step_end(None, TrainerState(global_step=step, max_steps=4), TrainerControl())
    assert control.should_save
    assert control.should_training_stop
    assert control.should_evaluate == (step == 2)  # as without the interruption


def test_losses_are_passed_on_and_other_logs_are_not():
    sink = Collected()
    watch = Watch(frozenset(), sink)
    state = TrainerState(global_step=3, max_steps=4)
    watch.on_log(None, state, TrainerControl(), logs={"loss": 1, "grad_norm": 2.0, "epoch": 0.5, "other": "x"})
    watch.on_log(None, state, TrainerControl(), logs={"train_runtime": 3.0})
    watch.on_log(None, state, TrainerControl(), logs=None)
    assert sink.events == [Metrics(step=3, group="train", values={"loss": 1.0, "grad_norm": 2.0, "epoch": 0.5})]


def test_the_first_interrupt_asks_and_the_second_one_stops():
    watch = Watch(frozenset(), Collected())
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt(watch):
        os.kill(os.getpid(), signal.SIGINT)
        assert watch.interrupted
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_without_an_interrupt_nothing_is_left_behind():
    watch = Watch(frozenset(), Collected())
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt(watch):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    assert not watch.interrupted


def test_a_loop_in_a_thread_leaves_signals_alone():
    found = []

    def work():
        with stop_on_interrupt(Watch(frozenset(), Collected())):
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
