"""When the dev search runs, how the loop stops, and what it passes on."""

import json
import os
import signal
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TrainerControl, TrainerState

from nearfar.batches.collate import PairCollator
from nearfar.config.read import override
from nearfar.config.run import RunConfig
from nearfar.engine.step import Step
from nearfar.events import Metrics, Progress
from nearfar.objectives import InfoNCE
from nearfar.training.dev import DevSearch
from nearfar.training.job import cut_curves
from nearfar.training.loop import RetrievalTrainer, Watch, evaluation_points, stop_on_interrupt, training_arguments
from tests.training.test_dev import dataset, encoder


class Collected:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


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


@pytest.mark.usefixtures("without_annotation_checks")
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


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize("step", [1, 2])
def test_an_interrupted_watch_saves_and_stops(step):
    watch = Watch(frozenset({2}), Collected())
    watch.interrupted = True
    control = watch.on_step_end(None, TrainerState(global_step=step, max_steps=4), TrainerControl())
    assert control.should_save
    assert control.should_training_stop
    assert control.should_evaluate == (step == 2)  # as without the interruption


@pytest.mark.usefixtures("without_annotation_checks")
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


def test_every_epoch_holds_every_pair_once_in_an_order_of_its_own(tmp_path):
    config = override(RunConfig(), ["batches.size=6", "training.seed=5"])
    made = dataset()
    made = made.with_qrels({**made.qrels, "train": made.qrels["dev"]})
    processor = torch.device("cpu")
    model = encoder()
    model.module.weight = torch.nn.Parameter(torch.ones(1))
    trainer = RetrievalTrainer(
        Step(model, InfoNCE()),
        PairCollator(made, "train", hard_negatives=0, seed=0),
        DevSearch(made, config.dev, seed=0),
        config,
        training_arguments(config, 8, tmp_path, 0.1, processor),
        Collected(),
    )
    loader = trainer.get_train_dataloader()
    epochs = [[step.relation.anchor_ids.tolist() for step in loader] for _ in range(3)]
    assert [[len(step) for step in epoch] for epoch in epochs] == [[5, 5, 5, 5]] * 3
    flat = [[anchor for step in epoch for anchor in step] for epoch in epochs]
    assert len({tuple(sorted(epoch)) for epoch in flat}) == 1
    assert len(set(flat[0])) == 20
    assert len({tuple(epoch) for epoch in flat}) == 3
    again = [[step.relation.anchor_ids.tolist() for step in trainer.get_train_dataloader()] for _ in range(1)]
    assert again[0] == epochs[0]


def test_curves_are_cut_where_training_goes_on(tmp_path):
    path = tmp_path / "training.jsonl"
    lines = [
        {"step": 1, "group": "train", "loss": 2.0},
        {"level": "info", "message": "hello"},
        {"step": 4, "group": "dev"},
    ]
    lines.append({"step": 5, "group": "train", "loss": 1.0})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    cut_curves(path, 4)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == lines[:3]
    cut_curves(path, 1)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == lines[:2]
    cut_curves(path, 0)
    assert path.read_text(encoding="utf-8") == ""
    cut_curves(tmp_path / "none.jsonl", 3)
    assert not (tmp_path / "none.jsonl").exists()
