"""Checkpoints that are more than are needed, damaged ones, and two processes in one folder."""

import os
import socket

import pytest

from nearfar import api
from nearfar.errors import ResourceError
from nearfar.training import loop
from nearfar.training.checkpoints import DAMAGED, complete_checkpoints, step_of
from nearfar.training.job import Stopped
from tests import runs
from tests.resume.processes import same_result
from tests.resume.sinks import At, Messages, interrupt

FAST = runs.FAST


@pytest.mark.slow
def test_a_line_of_the_curves_is_a_mean_over_steps_before_and_after_a_stop(pairs, tokenizer, tmp_path):
    settings = (*FAST, "training.steps=300", "dev.evaluations=1", "training.save_every=100")
    arguments = {"model": runs.static(tokenizer), "settings": settings}
    api.train(pairs, out=tmp_path / "whole", **arguments)
    assert [entry["step"] for entry in runs.curve(tmp_path / "whole") if entry["group"] == "train"][:3] == [3, 6, 9]
    out = tmp_path / "run"
    for step in (100, 200):  # one after a line, and two
        with pytest.raises(Stopped):
            api.train(pairs, out=out, **arguments, resume=out.exists(), sink=At(step, interrupt))
    api.train(pairs, out=out, **arguments, resume=True)
    same_result(out, tmp_path / "whole")


def test_checkpoints_by_time_change_nothing(finished, pairs, tokenizer, tmp_path, monkeypatch):
    saved = []
    seal = loop.seal
    monkeypatch.setattr(loop, "seal", lambda path, best: (saved.append(step_of(path)), seal(path, best)))
    settings = (*FAST, "training.save_minutes=1e-6")
    api.train(pairs, out=tmp_path / "run", model=runs.static(tokenizer), settings=settings)
    assert saved == list(range(1, 33))
    same_result(tmp_path / "run", finished)


def test_a_damaged_checkpoint_is_skipped_and_said(finished, pairs, tokenizer, tmp_path):
    out = tmp_path / "run"
    arguments = {"model": runs.static(tokenizer), "out": out, "settings": FAST}
    with pytest.raises(Stopped):
        api.train(pairs, **arguments, sink=At(29, interrupt))
    assert {"checkpoint-24", "checkpoint-29"} <= {path.name for path in complete_checkpoints(out / "checkpoints")}
    newest = out / "checkpoints" / "checkpoint-29"
    size = (newest / "optimizer.pt").stat().st_size
    os.truncate(newest / "optimizer.pt", 1000)
    told = Messages()
    api.train(pairs, **arguments, resume=True, sink=told)
    assert told.warnings[:2] == [
        f"The checkpoint {newest} was skipped: optimizer.pt has 1,000 bytes, {size:,} were written.",
        f"Training goes on from checkpoint-24. What was skipped is in {out / 'checkpoints' / DAMAGED}; it may be "
        "deleted.",
    ]
    same_result(out, finished)
    assert (out / "checkpoints" / DAMAGED / "checkpoint-29" / "model.safetensors").is_file()
    assert "was skipped" in (out / "training.jsonl").read_text(encoding="utf-8")


def test_with_every_checkpoint_damaged_training_starts_at_its_beginning(finished, pairs, tokenizer, tmp_path):
    out = tmp_path / "run"
    arguments = {"model": runs.static(tokenizer), "out": out, "settings": FAST}
    with pytest.raises(Stopped):
        api.train(pairs, **arguments, sink=At(13, interrupt))
    (out / "checkpoints" / "checkpoint-13" / "trainer_state.json").write_text("{", encoding="utf-8")
    (out / "checkpoints" / "checkpoint-8" / "rng_state.pth").unlink()
    told = Messages()
    api.train(pairs, **arguments, resume=True, sink=told)
    assert "trainer_state.json has 1 bytes, " in told.warnings[0]
    assert "rng_state.pth is missing" in told.warnings[1]
    assert told.warnings[2].startswith("No other is left, so training starts at step 0.")
    same_result(out, finished)


def test_a_best_checkpoint_that_is_damaged_during_training(pairs, tokenizer, tmp_path):
    settings = (*FAST, "training.learning_rate=1e-9", "dev.patience=9")  # no search is better than the first
    arguments = {"model": runs.static(tokenizer), "settings": settings}
    undisturbed, out = tmp_path / "whole", tmp_path / "run"
    api.train(pairs, out=undisturbed, **arguments)
    best = runs.record(undisturbed)["best_step"]
    assert best == 8
    file = out / "checkpoints" / f"checkpoint-{best}" / "model.safetensors"
    with pytest.raises(ResourceError, match=rf"The best checkpoint .*checkpoint-{best} is damaged: .* --resume"):
        api.train(pairs, out=out, **arguments, sink=At(32, lambda: os.truncate(file, 100)))
    assert not (out / "model").exists()
    api.train(pairs, out=out, **arguments, resume=True)
    same_result(out, undisturbed)


def test_two_processes_do_not_share_a_run(pairs, tokenizer, tmp_path):
    out = tmp_path / "run"
    arguments = {"model": runs.static(tokenizer), "out": out, "settings": (*FAST, "training.steps=6")}
    tried = []

    def try_too():
        before = runs.contents(out)
        for resume in (False, True):
            with pytest.raises(ResourceError) as caught:
                api.train(pairs, **arguments, resume=resume)
            tried.append(str(caught.value))
        assert runs.contents(out) == before

    api.train(pairs, **arguments, sink=At(5, try_too))
    assert tried == 2 * [
        f"{out} is in use by process {os.getpid()} on {socket.gethostname()}. Nothing was changed. "
        "Wait until it ends, stop it, or choose another --out."
    ]
