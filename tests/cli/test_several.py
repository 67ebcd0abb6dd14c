"""Several processes as a user starts them: torchrun and accelerate launch, refusals, signals, and a death."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nearfar.cli.several import quiet_unless_first, takes_part, voice
from nearfar.config.launch import Launch
from nearfar.training.checkpoints import complete_checkpoints
from tests import runs

SECOND = Launch(rank=1, world=2, local_rank=1, local_world=2, launched=True)
LIMIT = 150
"""Seconds that a launch may take on a busy machine; it takes about ten on an idle one."""

FAST = (*runs.SETTINGS, "--set", "training.epochs=1", "--set", "evaluation.measures=nDCG@10")
ENDLESS = ("--set", "training.steps=1000000", "--set", "dev.evaluations=1", "--set", "batches.size=16")


def launched(launcher, *arguments, start=("-m", "nearfar")):
    """Start a command line in two processes, or what else takes its arguments."""
    two = ("--num_processes", "2")
    launchers = {
        "torchrun": ("torch.distributed.run", "--standalone", "--shutdown-timeout", "100", "--nproc-per-node", "2"),
        "accelerate": ("accelerate.commands.launch", "--multi_gpu", "--main_process_port", "0", *two),
    }
    command = [sys.executable, "-m", *launchers[launcher], *map(str, (*start, *arguments))]
    settings = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    kept = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**kept, **settings}
    )


@pytest.fixture
def at_once(commands):
    """What torchrun is given to start a command line that has imported all it needs."""
    return "--no-python", commands / "nearfar"


def ended(process):
    """Exit code, output, and what nearfar said on the error stream."""
    try:
        output, errors = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        for child in workers(process):
            os.kill(child, signal.SIGKILL)
        process.kill()
        raise
    return process.returncode, output, [line for line in errors.splitlines() if "nearfar: " in line], errors


def workers(process):
    """The processes that a launcher started."""
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def training(out, process):
    """Wait until training is under way; gives the workers."""
    end = time.monotonic() + LIMIT
    while not ((out / "training.jsonl").is_file() and "dev" in (out / "training.jsonl").read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1.0)  # the first steps
    return workers(process)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_a_launched_run_prints_and_writes_once(launcher, pairs, tokenizer, tmp_path):
    out = tmp_path / "run"
    process = launched(launcher, "train", pairs, "--model", runs.static(tokenizer), "--out", out, *FAST)
    code, output, said, errors = ended(process)
    assert code == 0, errors
    assert output.count("test: 30 queries") == 1
    assert output.count(f"model   {out / 'model'}") == 1
    assert said == []
    assert "Warning" not in errors
    assert runs.record(out)["state"] == "finished"
    (checkpoint, *_) = complete_checkpoints(out / "checkpoints")
    assert {path.name for path in checkpoint.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}


@pytest.mark.slow
def test_a_refusal_is_told_once(finished, pairs, tokenizer, at_once):
    before = runs.contents(finished)
    given = ("--model", runs.static(tokenizer), "--out", finished, *runs.SETTINGS)
    process = launched("torchrun", "train", pairs, *given, start=at_once)
    code, output, said, errors = ended(process)
    assert code == 1  # that of torchrun for a failed process
    assert output == ""
    assert said == [
        f"nearfar: {finished} already holds a finished run. Nothing was changed. To train anew, choose another --out."
    ]
    assert errors.count("Traceback") == 1  # torchrun's own
    assert "exitcode  : 2" in errors
    assert runs.contents(finished) == before


CHILD = """
import os, sys
from nearfar.cli import main
from nearfar.engine.step import Step

before, calls = Step.forward, []

def forward(step, given):
    calls.append(1)
    if os.environ["RANK"] == "1" and len(calls) == 4:
        raise MemoryError("no more")
    return before(step, given)

Step.forward = forward
main.run(sys.argv[1:])
"""


@pytest.mark.slow
def test_the_error_of_one_that_is_not_the_first_is_told(pairs, tokenizer, tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    settings = ("--out", tmp_path / "run", *ENDLESS)
    process = launched(
        "torchrun", "train", pairs, "--model", runs.static(tokenizer), *settings, start=[tmp_path / "child.py"]
    )
    code, _, said, errors = ended(process)
    assert code == 1
    assert said == []
    assert errors.count("MemoryError: no more") == 1
    assert errors.count("Traceback") == 2  # that one, and torchrun's own


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_all_stop_and_one_tells(pairs, tokenizer, tmp_path, number, at_once):
    out = tmp_path / "run"
    given = ("--model", runs.static(tokenizer), "--out", out, *ENDLESS)
    process = launched("torchrun", "train", pairs, *given, start=at_once)
    training(out, process)
    process.send_signal(number)
    code, _, (said,), errors = ended(process)
    assert code == 1
    (checkpoint,) = complete_checkpoints(out / "checkpoints")
    step = int(checkpoint.name.rpartition("-")[2])
    assert said == (
        f"nearfar: Stopped after step {step}; everything up to there is saved. "
        "To go on, add --resume to the same command."
    )
    assert "[rank" not in errors  # no traceback of a process


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_dies_the_others_end(pairs, tokenizer, tmp_path, victim, at_once):
    out = tmp_path / "run"
    given = ("--model", runs.static(tokenizer), "--out", out, *ENDLESS)
    process = launched("torchrun", "train", pairs, *given, start=at_once)
    started = training(out, process)
    os.kill(started[victim], signal.SIGKILL)
    code, _, said, errors = ended(process)
    assert code == 1
    assert len(said) <= 1
    assert f"Signal 9 (SIGKILL) received by PID {started[victim]}" in errors
    assert "[rank" not in errors
    assert not any(Path(f"/proc/{worker}").exists() for worker in started)


def test_accelerate_that_starts_one_process_for_two_is_told(monkeypatch, capsys, pairs, tokenizer, tmp_path):
    # What accelerate launch --cpu --num_processes 2 does: these variables, and one process.
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert runs.nearfar("train", pairs, "--model", runs.static(tokenizer), "--out", tmp_path / "run", *FAST) == 0
    told = "warning: accelerate launch --cpu starts a single process unless it is given --mpirun_hostfile"
    assert told in capsys.readouterr().err


def test_half_a_launch_is_refused(monkeypatch, capsys, pairs, tokenizer, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    command = ("train", pairs, "--model", runs.static(tokenizer), "--out", tmp_path / "run")
    message = runs.refused(capsys, *command)
    assert message.startswith("nearfar: WORLD_SIZE=2 stands for one of several processes, but RANK, LOCAL_RANK, ")
    assert not (tmp_path / "run").exists()
    assert runs.nearfar("config") == 0  # is not for several, and does not care


@pytest.mark.parametrize(
    ("arguments", "shared"),
    [(["train", "data"], True), (["--debug", "demo"], True), (["evaluate", "train"], False), ([], False)],
)
def test_commands_that_are_not_shared_are_for_the_first_process(arguments, shared):
    assert takes_part(arguments, Launch())
    assert takes_part(arguments, SECOND) == shared


def test_only_the_first_prints(capsys):
    with quiet_unless_first(Launch()):
        print("first")
    with quiet_unless_first(SECOND):
        print("second")
    assert capsys.readouterr().out == "first\n"


def test_one_process_always_speaks():
    assert voice(Launch(), None) == ""
