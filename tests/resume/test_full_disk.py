"""A disk that is full in the middle of a run: one message, the checkpoint before is intact, the run goes on."""

import subprocess
import sys

import pytest

from nearfar.training.folder import COMPLETE
from tests import runs

CHILD = """
import resource, signal, sys
from nearfar.cli import main
from nearfar.training import job, loop

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
filled = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
before_save, before_model = loop.RetrievalTrainer._save_checkpoint, job.replace_folder

def save(trainer, model, trial):
    if sys.argv[1] == "checkpoint" and trainer.state.global_step == 16:
        filled()
    return before_save(trainer, model, trial)

def replace(*given):
    if sys.argv[1] == "model":
        filled()
    return before_model(*given)

loop.RetrievalTrainer._save_checkpoint, job.replace_folder = save, replace
main.run(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("when", "last"), [("checkpoint", 8), ("model", 32)])
def test_full_disk(finished, pairs, tokenizer, tmp_path, when, last):
    out = tmp_path / "run"
    command = ["train", str(pairs), "--model", runs.static(tokenizer), "--out", str(out), *runs.SETTINGS]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, when, *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr
    message = done.stderr.strip()
    assert len(message.splitlines()) == 1, message
    assert "Traceback" not in message
    assert message.startswith("nearfar: Cannot write ")
    assert (str(out / "checkpoints" / "checkpoint-16") if when == "checkpoint" else str(out / "model")) in message
    assert "--resume" in message
    kept = out / "checkpoints" / f"checkpoint-{last}"
    assert (kept / COMPLETE).is_file()
    assert not (out / "checkpoints" / "checkpoint-16").exists() or when == "model"
    assert not (out / "model").exists()
    assert runs.nearfar(*command, "--resume") == 0
    assert runs.record(out)["tuned_hash"] == runs.record(finished)["tuned_hash"]
    assert runs.curve(out) == runs.curve(finished)
