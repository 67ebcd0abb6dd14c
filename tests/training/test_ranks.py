"""A run of several processes is the run of one: losses, weights, choices; and so after it was stopped."""

import os
import re
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nearfar import api
from nearfar.errors import NearfarError
from nearfar.evaluation import evidence
from nearfar.events import Message, Metrics, Progress
from tests import runs
from tests.gloo import run_ranks

STATIC = ("training.epochs=2", "dev.evaluations=4", "batches.size=32", "evaluation.resamples=200")
BERT = (
    *("training.steps=6", "training.learning_rate=3e-3", "dev.evaluations=2", "batches.size=16"),
    *("evaluation.resamples=200", "training.precision=float32", "evaluation.measures=nDCG@10"),
)


class Seen:
    """Takes events, and sends this process a signal after a step."""

    def __init__(self, stop_at=None):
        self.stop_at, self.events = stop_at, []

    def emit(self, event):
        self.events.append(event)
        if isinstance(event, Progress) and (event.task, event.done) == ("Training", self.stop_at):
            signal.raise_signal(signal.SIGINT)


def train(data, out, model, settings, resume=False, stop_at=None, stopped_rank=0):
    """Run ``api.train`` on this rank; gives what happened: an outcome, and the messages that the sink got."""
    before = evidence._plane
    evidence._plane = lambda vectors, seed: vectors[:, :2].astype(float)  # takes longer than training
    rank = int(os.environ.get("RANK", "0"))
    seen = Seen(stop_at if rank == stopped_rank else None)
    try:
        result = api.train(data, model=str(model), out=out, settings=settings, resume=resume, sink=seen)
    except NearfarError as error:
        return f"{type(error).__name__}: {error}", seen.events
    finally:
        evidence._plane = before
    return result.scores, seen.events


def interrupted_from(data, out, model, settings, rank):
    """As ``train``, when Ctrl-C reaches one process alone."""
    from nearfar.training.watch import Watch

    before = Watch.on_step_end

    def watched(watch, args, state, control, **more):
        if state.global_step == 3 and int(os.environ["RANK"]) == rank:
            signal.raise_signal(signal.SIGTERM)
        return before(watch, args, state, control, **more)

    Watch.on_step_end = watched
    try:
        return train(data, out, model, settings)
    finally:
        Watch.on_step_end = before


def losses(run):
    return [entry["loss"] for entry in runs.curve(run) if "loss" in entry]


def checkpoint(run):
    return max((run / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))


def weights(run):
    return load_file(checkpoint(run) / "model.safetensors")


def messages(events):
    return [event.text for event in events if isinstance(event, Message)]


def assert_equal(one, other, losses_within, weights_within):
    torch.testing.assert_close(losses(one), losses(other), rtol=0, atol=losses_within)
    assert weights(one).keys() == weights(other).keys()
    for name, weight in weights(one).items():
        torch.testing.assert_close(weight, weights(other)[name], rtol=0, atol=weights_within, msg=name)
    for name in ("best_step", "trained_steps", "stopped", "steps", "state"):
        assert runs.record(one)[name] == runs.record(other)[name], name


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A transformer without dropout."""
    return runs.write_bert(tmp_path_factory.mktemp("still") / "bert", dropout=0.0)


@pytest.fixture(scope="module")
def alone(pairs, tokenizer, tmp_path_factory):
    """A run of one process, with a static encoder."""
    out = tmp_path_factory.mktemp("alone") / "run"
    train(pairs, out, runs.static(tokenizer), STATIC)
    return out


@pytest.fixture(scope="module")
def both(pairs, tokenizer, tmp_path_factory):
    """A run of two processes, with a static encoder."""
    out = tmp_path_factory.mktemp("both") / "run"
    return out, run_ranks(2, train, pairs, out, runs.static(tokenizer), STATIC)


def test_two_processes_are_one(alone, both):
    assert_equal(both[0], alone, 1e-5, 1e-5)
    torch.testing.assert_close(losses(both[0])[:3], losses(alone)[:3], rtol=0, atol=1e-6)


def test_the_first_process_writes_and_reports_and_all_have_the_scores(both, alone):
    out, ((scores, events), (others_scores, others_events)) = both
    assert scores == others_scores == runs.scores(out)
    assert {type(event) for event in events} >= {Metrics, Progress}
    assert others_events == []
    assert {path.name for path in out.iterdir()} == {path.name for path in alone.iterdir()}
    there = {path.name for path in checkpoint(out).iterdir()} - {path.name for path in checkpoint(alone).iterdir()}
    assert there == {"rng_state_0.pth", "rng_state_1.pth"}


@pytest.mark.slow
@pytest.mark.parametrize(("world", "memory"), [(2, ()), (3, ("batches.tokens=40", "batches.at_once=40"))])
def test_a_transformer_on_several_processes(still, pairs, tmp_path, world, memory):
    run_ranks(world, train, pairs, tmp_path / "several", still, (*BERT, *memory))
    train(pairs, tmp_path / "one", still, BERT)
    torch.testing.assert_close(losses(tmp_path / "several"), losses(tmp_path / "one"), rtol=0, atol=1e-6)
    assert_equal(tmp_path / "several", tmp_path / "one", 1e-6, 1e-5)


@pytest.mark.parametrize("stopped", [0, 1])
def test_interrupted_on_one_stops_all_after_the_same_step(both, pairs, tokenizer, tmp_path, stopped):
    out, model = tmp_path / "run", runs.static(tokenizer)
    outcomes = run_ranks(2, interrupted_from, pairs, out, model, STATIC, stopped)
    assert {outcome for outcome, _ in outcomes} == {
        "Stopped: Stopped after step 3; everything up to there is saved. To go on, add --resume to the same command."
    }
    run_ranks(2, train, pairs, out, model, STATIC, True)
    assert_equal(out, both[0], 0, 0)
    assert runs.record(out)["tuned_hash"] == runs.record(both[0])["tuned_hash"]


@pytest.mark.slow
def test_dropout_differs_between_processes_and_goes_on_where_it_was(pairs, tmp_path):
    model = runs.write_bert(tmp_path / "bert", dropout=0.1)
    run_ranks(2, train, pairs, tmp_path / "whole", model, BERT)
    states = [
        torch.load(checkpoint(tmp_path / "whole") / f"rng_state_{rank}.pth", weights_only=False)["cpu"]
        for rank in range(2)
    ]
    assert not torch.equal(*states)
    (outcome, _), _ = run_ranks(2, train, pairs, tmp_path / "parted", model, BERT, False, 2)
    assert outcome.startswith("Stopped: Stopped after step 2")
    run_ranks(2, train, pairs, tmp_path / "parted", model, BERT, True)
    assert_equal(tmp_path / "parted", tmp_path / "whole", 0, 0)
    assert runs.record(tmp_path / "parted")["tuned_hash"] == runs.record(tmp_path / "whole")["tuned_hash"]


def test_going_on_with_another_number_of_processes_works_and_is_told(alone, pairs, tokenizer, tmp_path):
    out, model = tmp_path / "run", runs.static(tokenizer)
    run_ranks(3, interrupted_from, pairs, out, model, STATIC, 2)
    (_, events), _ = run_ranks(2, train, pairs, out, model, STATIC, True, 6)
    (told,) = (text for text in messages(events) if "processes" in text)
    assert told.startswith("Going on with 2 processes where 3 wrote checkpoint-3: the steps are the same, but dropout")
    _, events = train(pairs, out, model, STATIC, True)
    (told,) = (text for text in messages(events) if "process" in text)
    assert told.startswith("Going on with 1 process where 2 wrote checkpoint-6: ")
    assert_equal(out, alone, 1e-5, 1e-5)


def test_early_stopping_agrees(pairs, tokenizer, tmp_path):
    settings = (*STATIC, "training.steps=20", "dev.evaluations=10", "dev.patience=2", "training.learning_rate=1e-9")
    outcomes = run_ranks(2, train, pairs, tmp_path / "run", runs.static(tokenizer), settings)
    assert outcomes[0][0] == outcomes[1][0]
    record = runs.record(tmp_path / "run")
    assert (record["trained_steps"], record["stopped"]) == (6, "early")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("batches.size=2",), "ConfigError: 3 processes share each batch, and the smallest batch has 2 pairs"),
        (("training.trainer={adam_bta1: 0.5}",), "ConfigError: training.trainer.adam_bta1 is not an argument"),
        (("objective=InfoMCE",), "ConfigError: .*InfoNCE"),
    ],
)
def test_refusals_are_those_of_every_process_and_nothing_is_written(pairs, tokenizer, tmp_path, settings, message):
    outcomes = run_ranks(3, train, pairs, tmp_path / "run", runs.static(tokenizer), settings)
    for outcome, _ in outcomes:
        assert outcome == outcomes[0][0]
        assert re.match(message, outcome), outcome
    assert not (tmp_path / "run").exists()


def of_its_own(folder, out, model, settings):
    data = runs.write_pairs(Path(folder) / f"pairs-{os.environ['RANK']}.jsonl", 290 + int(os.environ["RANK"]))
    return train(data, out, model, settings)


def test_processes_that_read_different_data_are_refused(tokenizer, tmp_path):
    outcomes = run_ranks(2, of_its_own, tmp_path, tmp_path / "run", runs.static(tokenizer), STATIC)
    assert {outcome for outcome, _ in outcomes} == {
        "DataError: The processes of this run have read different data. Give all machines the same files."
    }


def test_a_used_folder_is_refused_for_every_process(both, pairs, tokenizer):
    out, _ = both
    (one, _), (other, _) = run_ranks(2, train, pairs, out, runs.static(tokenizer), STATIC)
    message = f"{out} already holds a finished run. Nothing was changed. To train anew, choose another --out."
    assert (one, other) == (f"ResourceError: {message}", f"FirstFailed: {message}")


def test_a_finished_run_answers_every_process(both, pairs, tokenizer):
    out, ((scores, _), _) = both
    again = run_ranks(2, train, pairs, out, runs.static(tokenizer), STATIC, True)
    assert [outcome for outcome, _ in again] == [scores, scores]
