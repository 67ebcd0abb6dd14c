"""Training runs in processes of their own, which tell what they are doing and can be killed at any moment of it.

A process comes from a fork server, so that it need not import everything again, and trains with ``api.train`` as a user
would. While it trains it reports each step, and of each file of a checkpoint that it is about to be written, renamed or
removed, and that it is half and wholly written. After each report it waits for a word to go on, so that a kill from
outside hits where it is meant to.
"""

import contextlib
import io
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import jaxtyping
import torch

from nearfar.training.checkpoints import complete_checkpoints
from tests import runs

LIMIT = 60.0
"""Seconds that a process may take."""


class Process:
    """A run in a process of its own.

    Args:
        data, model, out, settings, resume: as for ``api.train``.
        before: called in the process first; a function of a module.
    """

    def __init__(self, data, *, model, out, settings=(), resume=False, before=None):
        arguments = {"model": str(model), "out": str(out), "settings": tuple(settings), "resume": resume}
        self.process, self._pipe = start(_train, str(data), arguments, before)
        self.reports, self._waits = [], False

    def until(self, wanted):
        """Go on to a report that fits, and give it; the process waits there. None when it ends before."""
        end = time.monotonic() + LIMIT
        self._go_on()
        while self._pipe.poll(max(0.0, end - time.monotonic())):
            try:
                report = self._pipe.recv()
            except (EOFError, ConnectionResetError):
                return None
            self.reports.append(report)
            self._waits = True
            if wanted(*report):
                return report
            self._go_on()
        self.process.kill()
        raise AssertionError(f"nothing happened for {LIMIT} s after {self.reports[-5:]}")

    def _go_on(self):
        if self._waits:
            self._waits = False
            with contextlib.suppress(BrokenPipeError):
                self._pipe.send(None)

    def kill(self, after=None):
        """End it as the system does when memory runs out: where it waits, or while it has gone on for some seconds."""
        if after is not None:
            self._go_on()
            time.sleep(after)
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -signal.SIGKILL

    def send(self, number):
        """Send a signal."""
        os.kill(self.process.pid, number)

    def end(self):
        """Wait until it ends; gives the last report, which is ("done", None) or ("error", its kind and message)."""
        self.until(lambda *report: False)
        self.process.join()
        return self.reports[-1]


def train(data, **arguments):
    """Train to the end, or to an error."""
    return Process(data, **arguments).end()


def start(function, *arguments):
    """Start a function in a process of its own; it is given a pipe before its arguments. Gives process and pipe."""
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe()
    process = context.Process(target=_prepared, args=(function, there, *arguments), daemon=True)
    process.start()
    there.close()
    return process, here


def _prepared(function, pipe, *arguments):
    from nearfar.evaluation import evidence

    # The fork server may have loaded nearfar with its annotations checked, and those checks draw from Python's random
    # state.
    jaxtyping.config.update("jaxtyping_disable", True)
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    torch.set_num_threads(1)
    # The map of the report takes longer than training and is not what is tested here.
    evidence._plane = lambda vectors, seed: vectors[:, :2].astype(float)
    function(pipe, *arguments)


def _train(pipe, data, arguments, before):
    from nearfar import api
    from nearfar.errors import NearfarError

    if before is not None:
        before()
    reporter = _Reporter(pipe, Path(arguments["out"]))
    reporter.watch_files()
    try:
        api.train(data, **arguments, sink=reporter)
    except (NearfarError, KeyboardInterrupt) as error:
        pipe.send(("error", f"{type(error).__name__}: {error}"))
    else:
        pipe.send(("done", None))
    sys.stdout.flush()
    os._exit(0)


class _Reporter:
    def __init__(self, pipe, out):
        self._pipe, self._out, self._mute = pipe, str(out), False

    def emit(self, event):
        from nearfar.events import Message, Progress

        if isinstance(event, Progress) and event.task == "Training":
            self.tell("step", event.done)
        elif isinstance(event, Message):
            self.tell(event.level, event.text)

    def tell(self, kind, what):
        if self._mute:
            return
        self._mute = True
        self._pipe.send((kind, what))
        self._pipe.recv()
        self._mute = False

    def watch_files(self):
        """Report files by their path in the run folder. Python's own are seen by an audit hook."""
        import safetensors.torch

        def audit(event, given):
            if event == "open" and isinstance(given[0], str | os.PathLike) and set(str(given[1])) & set("wax+"):
                self._tell_file("write", given[0])
            elif event in ("os.remove", "os.rename"):
                self._tell_file("remove" if event == "os.remove" else "rename", given[0])

        sys.addaudithook(audit)
        before_torch, before_safe = torch.save, safetensors.torch.save

        def save(value, file, *more, **options):
            if not isinstance(file, str | os.PathLike):
                return before_torch(value, file, *more, **options)
            stream = io.BytesIO()
            before_torch(value, stream, *more, **options)
            return self._write_by_halves(file, stream.getvalue())

        torch.save = save
        safetensors.torch.save_file = lambda tensors, file, metadata=None: self._write_by_halves(
            file, before_safe(tensors, metadata)
        )

    def _write_by_halves(self, path, content):
        with Path(path).open("wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            self._tell_file("half", path)
            file.write(content[len(content) // 2 :])
        self._tell_file("whole", path)

    def _tell_file(self, kind, path):
        with contextlib.suppress(ValueError, TypeError):
            inside = Path(os.fsdecode(path)).relative_to(self._out)
            if inside.parts[0] in ("checkpoints", "mined"):
                self.tell(kind, inside.as_posix())


def same_result(one, other, python=False):
    """Two finished runs have the same weights, curves, scores and best step, to the bit.

    Args:
        one, other: the run folders.
        python: whether Python's own random state counts, which the checks of annotations in this process draw from.
    """
    first, second = runs.record(one), runs.record(other)
    for name in ("tuned_hash", "best_step", "trained_steps", "stopped", "steps", "state"):
        assert first[name] == second[name], name
    assert runs.curve(one) == runs.curve(other)
    assert runs.scores(one) == runs.scores(other)
    same_checkpoint(*(complete_checkpoints(run / "checkpoints")[-1] for run in (one, other)), python)
    model = Path("model") / "model.safetensors"
    files = [path.relative_to(one / "model") for path in (one / "model").rglob("*.safetensors")]
    assert files, model
    for file in files:
        assert (one / "model" / file).read_bytes() == (other / "model" / file).read_bytes(), file


def same_checkpoint(one, other, python):
    """Two checkpoints hold the same: weights, memory of the objective, optimiser, schedule, random states, counters."""
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        loaded = [torch.load(folder / name, weights_only=False) for folder in (one, other)]
        if name == "rng_state.pth" and not python:
            for state in loaded:
                state.pop("python")
        same(*loaded, name)
    states = [json.loads((folder / "trainer_state.json").read_text(encoding="utf-8")) for folder in (one, other)]
    for state in states:
        state.pop("best_model_checkpoint")
    same(*states, "trainer_state")
    same(*(json.loads((folder / "waiting.json").read_text(encoding="utf-8")) for folder in (one, other)), "waiting")


def same(one, other, where):
    """Equal, and all that is in them, to the bit."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for place, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f"{where}.{place}")
    elif hasattr(one, "tobytes"):
        assert one.tobytes() == other.tobytes(), where
    else:
        assert one == other, where
