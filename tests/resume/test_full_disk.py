"""A disk that is full in the middle of a run: one message, what was there is intact, and the run goes on after that."""

import contextlib
import functools
import io
import resource
import signal

import pytest

from nearfar.training.checkpoints import complete_checkpoints, damage
from tests import runs
from tests.resume.processes import start

MOMENTS = {
    # when: (what cannot be written, the last checkpoint that is whole then)
    "weights": ("the checkpoint {}/checkpoints/checkpoint-16: ", 8),
    "optimiser": ("the checkpoint {}/checkpoints/checkpoint-16: ", 8),
    "manifest": ("the checkpoint {}/checkpoints/checkpoint-16: ", 8),
    "curves": ("{}/training.jsonl: File too large", 8),
    "model": ("the model {}/model: ", 32),
    "vectors": ("{}/evaluation/tuned.documents.npy: ", 32),
    "results": ("{}/evaluation/", 32),
    "report": ("{}/report.html: File too large", 32),
}


def fill(size=2000):
    """From now on no file of this process can grow beyond so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def fill_before(owner, name, when, size=2000):
    """Fill the disk before a function is called as ``when`` says."""
    before = getattr(owner, name)

    @functools.wraps(before)
    def filled(*given, **more):
        if when(*given):
            fill(size)
        return before(*given, **more)

    setattr(owner, name, filled)


def at_moment(moment):
    """Have the disk fill up at a moment."""
    from nearfar.training import job, loop
    from nearfar.training.watch import Watch

    def always(*given):
        return True

    def at_16(folder, *rest):
        return folder.name == "checkpoint-16"

    def saves_16(trainer, *rest):
        return trainer.state.global_step == 16

    {
        "weights": lambda: fill_before(loop.RetrievalTrainer, "_save_checkpoint", saves_16),
        # The weights are written by then; the optimiser keeps two numbers for each of them.
        "optimiser": lambda: fill_before(loop.RetrievalTrainer, "_save_optimizer_and_scheduler", saves_16),
        "manifest": lambda: fill_before(loop, "seal", at_16, size=100),
        "curves": lambda: fill_before(Watch, "on_step_end", lambda watch, args, state, *rest: state.global_step == 11),
        "model": lambda: fill_before(job, "replace_folder", always),
        "vectors": lambda: fill_before(job, "_measure", lambda run, system: system == "tuned"),
        "results": lambda: fill_before(job, "write_results", always, size=100),
        "report": lambda: fill_before(job, "write_report", always),
    }[moment]()


def child(pipe, moment, command):
    at_moment(moment)
    with contextlib.redirect_stderr(io.StringIO()) as told:
        code = runs.nearfar(*command)
    pipe.send((code, told.getvalue()))


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_full_disk(finished, pairs, tokenizer, tmp_path, moment):
    out = tmp_path / "run"
    command = ["train", str(pairs), "--model", runs.static(tokenizer), "--out", str(out), *runs.SETTINGS]
    process, pipe = start(child, moment, command)
    code, told = pipe.recv()
    process.join()
    assert code == 2, told
    message = told.strip()
    assert len(message.splitlines()) == 1, message
    what, last = MOMENTS[moment]
    assert message.startswith(f"nearfar: Cannot write {what.format(out)}"), message
    assert "--resume" in message
    whole = complete_checkpoints(out / "checkpoints")
    assert whole[-1].name == f"checkpoint-{last}"
    assert [damage(path) for path in whole] == [None] * len(whole)
    assert len(list((out / "checkpoints").iterdir())) == len(whole)  # what was half-written is gone
    assert not list(out.rglob(".*.partial"))
    assert (out / "model").exists() == (moment in ("vectors", "results", "report"))
    assert runs.record(out)["state"] == "training"
    assert runs.nearfar(*command, "--resume") == 0
    assert runs.record(out)["tuned_hash"] == runs.record(finished)["tuned_hash"]
    assert runs.curve(out) == runs.curve(finished)
    assert runs.scores(out) == runs.scores(finished)
