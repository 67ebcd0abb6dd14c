"""A run that was stopped, by Ctrl-C or by force, goes on to the same weights as one that never was."""

import os
import shutil
import signal
import sys

import pytest

from nearfar import api
from nearfar.training import job
from nearfar.training.checkpoints import COMPLETE
from nearfar.training.job import Stopped
from tests import runs
from tests.resume.processes import same_result, start
from tests.resume.sinks import At, interrupt

FAST = runs.FAST
BERT = (
    "training.steps=12",
    "training.learning_rate=3e-3",
    "dev.evaluations=3",
    "batches.size=32",
    "evaluation.resamples=200",
)
"""8 steps are an epoch."""


class Killed(BaseException):
    """What no code of ours may catch, as a kill."""


def killed():
    raise Killed


@pytest.mark.parametrize("step", [8, 13])
def test_interrupted_and_resumed_is_uninterrupted(finished, pairs, tokenizer, tmp_path, step):
    arguments = {"model": runs.static(tokenizer), "out": tmp_path / "run", "settings": FAST}
    with pytest.raises(Stopped, match=f"Stopped after step {step}; .* --resume"):
        api.train(pairs, **arguments, sink=At(step, interrupt))
    assert (tmp_path / "run" / "checkpoints" / f"checkpoint-{step}" / COMPLETE).is_file()
    api.train(pairs, **arguments, resume=True)
    same_result(tmp_path / "run", finished)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return runs.write_bert(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture(scope="module")
def bert_run(bert, pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("bert-run") / "run"
    api.train(pairs, model=bert, out=out, settings=BERT)
    assert runs.record(out)["best_step"] == 12  # so that the weights have all the steps in them
    return out


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, 8, 10])
def test_dropout_goes_on_where_it_was(bert, bert_run, pairs, tmp_path, step):
    arguments = {"model": bert, "out": tmp_path / "run", "settings": BERT}
    with pytest.raises(Stopped):
        api.train(pairs, **arguments, sink=At(step, interrupt))
    api.train(pairs, **arguments, resume=True)
    same_result(tmp_path / "run", bert_run)


@pytest.mark.slow
def test_dropout_matters(bert_run, pairs, tmp_path):
    still = runs.write_bert(tmp_path / "still", dropout=0.0)
    api.train(pairs, model=still, out=tmp_path / "run", settings=BERT)
    assert runs.record(tmp_path / "run")["base_hash"] == runs.record(bert_run)["base_hash"]
    assert runs.record(tmp_path / "run")["tuned_hash"] != runs.record(bert_run)["tuned_hash"]


@pytest.mark.parametrize("name", ["replace_folder", "evaluate_bm25", "_write_evidence", "write_card", "write_report"])
def test_a_kill_after_training_loses_nothing(finished, pairs, tokenizer, tmp_path, monkeypatch, name):
    arguments = {"model": runs.static(tokenizer), "out": tmp_path / "run", "settings": FAST}
    with monkeypatch.context() as patched:
        patched.setattr(job, name, lambda *given, **more: killed())
        with pytest.raises(Killed):
            api.train(pairs, **arguments)
    api.train(pairs, **arguments, resume=True)
    same_result(tmp_path / "run", finished)
    assert set(runs.contents(tmp_path / "run")) >= {"report.html", "model/README.md", "model/modules.json"}


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(finished, pairs, tokenizer, tmp_path, monkeypatch):
    from nearfar.training.loop import RetrievalTrainer

    out = tmp_path / "run"
    arguments = {"model": runs.static(tokenizer), "out": out, "settings": FAST}
    saves = []

    def third_is_cut(trainer, folder):
        saves.append(folder)
        if len(saves) == 3:
            killed()

    with monkeypatch.context() as patched:
        patched.setattr(RetrievalTrainer, "_save_scaler", third_is_cut)
        with pytest.raises(Killed):
            api.train(pairs, **arguments)
    there = {path.name: (path / COMPLETE).is_file() for path in (out / "checkpoints").iterdir()}
    assert there["checkpoint-24"] is False
    assert there["checkpoint-16"] is True
    api.train(pairs, **arguments, resume=True)
    same_result(out, finished)


def test_patience_is_remembered(pairs, tokenizer, tmp_path, monkeypatch):
    settings = (*FAST, "training.steps=20", "dev.evaluations=10", "dev.patience=2", "training.learning_rate=1e-9")
    arguments = {"model": runs.static(tokenizer), "settings": settings}
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    api.train(pairs, out=whole, **arguments)
    assert (runs.record(whole)["trained_steps"], runs.record(whole)["stopped"]) == (6, "early")
    with pytest.raises(Stopped):  # after one evaluation without a new best
        api.train(pairs, out=parted, **arguments, sink=At(5, interrupt))
    with monkeypatch.context() as patched:  # stopped early, the model not yet written
        patched.setattr(job, "replace_folder", lambda *given: killed())
        with pytest.raises(Killed):
            api.train(pairs, out=parted, **arguments, resume=True)
    api.train(pairs, out=parted, **arguments, resume=True)
    same_result(parted, whole)


def test_a_folder_that_was_moved_goes_on(finished, pairs, tokenizer, tmp_path):
    settings = {"model": runs.static(tokenizer), "settings": FAST}
    with pytest.raises(Stopped):
        api.train(pairs, out=tmp_path / "here", **settings, sink=At(31, interrupt))
    (tmp_path / "here").rename(tmp_path / "there")
    api.train(pairs, out=tmp_path / "there", **settings, resume=True)
    same_result(tmp_path / "there", finished)


def test_a_finished_run_answers_at_once_and_changes_nothing(finished, pairs, tokenizer, monkeypatch, capsys):
    before = runs.contents(finished)
    monkeypatch.setattr("nearfar.api.opening.load_data", lambda *given: pytest.fail("the data was read"))
    command = ("train", pairs, "--model", runs.static(tokenizer), "--out", finished, *runs.SETTINGS)
    assert runs.nearfar(*command, "--resume") == 0
    assert f"model   {finished / 'model'}" in capsys.readouterr().out
    message = runs.refused(capsys, *command)
    assert message == (
        f"nearfar: {finished} already holds a finished run. Nothing was changed. To train anew, choose another --out."
    )
    assert runs.contents(finished) == before


def test_other_settings_are_not_mixed_into_a_run(finished, pairs, tokenizer, capsys):
    before = runs.contents(finished)
    command = ("train", pairs, "--model", runs.static(tokenizer, 16), "--out", finished, *runs.SETTINGS, "--resume")
    message = runs.refused(capsys, *command, "--set", "training.seed=5", "--set", "training.steps=7", lines=5)
    assert message.splitlines() == [
        f"nearfar: {finished} holds a run with other settings:",
        f"  model: {runs.static(tokenizer)} -> {runs.static(tokenizer, 16)}",
        "  training.steps: null -> 7",
        "  training.seed: 0 -> 5",
        "Nothing was changed. Use the settings of the run, or another --out.",
    ]
    assert runs.contents(finished) == before


def test_other_data_is_not_mixed_into_a_run(pairs, tokenizer, tmp_path, capsys):
    data = shutil.copy(pairs, tmp_path / "data.jsonl")
    arguments = {"model": runs.static(tokenizer), "out": tmp_path / "run", "settings": FAST}
    with pytest.raises(Stopped):
        api.train(data, **arguments, sink=At(3, interrupt))
    runs.write_pairs(data, 290)
    command = ("train", data, "--model", runs.static(tokenizer), "--out", tmp_path / "run", *runs.SETTINGS, "--resume")
    assert "was started with another data" in runs.refused(capsys, *command)


def signalled(pipe, step, number, command, errors):
    """Run a command line whose process gets a signal at a step."""
    from nearfar.cli import main
    from nearfar.training.watch import Watch

    before = Watch.on_step_end

    def watched(watch, args, state, control, **more):
        if state.global_step == step:
            os.kill(os.getpid(), number)
        return before(watch, args, state, control, **more)

    Watch.on_step_end = watched
    with errors.open("w") as stream:
        os.dup2(stream.fileno(), sys.stderr.fileno())
    main.run(command)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 2), (signal.SIGTERM, 2)])
def test_signals_to_a_process(finished, pairs, tokenizer, tmp_path, number, code):
    out = tmp_path / "run"
    command = ["train", str(pairs), "--model", runs.static(tokenizer), "--out", str(out), *runs.SETTINGS]
    process, _ = start(signalled, 11, number, command, tmp_path / "errors.txt")
    process.join(120)
    assert process.exitcode == code
    if code == 2:
        assert (tmp_path / "errors.txt").read_text(encoding="utf-8") == (
            "nearfar: Stopped after step 11; everything up to there is saved. "
            "To go on, add --resume to the same command.\n"
        )
    assert runs.nearfar(*command, "--resume") == 0
    same_result(out, finished)
