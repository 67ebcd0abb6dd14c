"""Runs that are killed from outside, at random steps and in the middle of a write, and go on as if nothing had been."""

import random
import signal

import pytest

from nearfar.training.checkpoints import COMPLETE, complete_checkpoints
from tests import runs
from tests.resume.processes import Process, same_result, train

SETTINGS = (*runs.FAST, "training.save_every=5")
"""32 steps, 8 an epoch; dev searches after 8, 16, 24 and 32."""
STEPS = 32
OBJECTIVES = {
    "nothing": ("objective=InfoNCE(temperature=0.05)",),
    "tables": ("objective=Sum(terms=[ISogCLR, CLIP])",),  # by index of the example, and a trained temperature
    "queue": ("objective=MoCHi(queue=32, hardest=16, mixed=4, mixed_with_query=2)",),  # and draws
    "keys": ("objective=MoCo(size=64)", "training.momentum=0.9"),  # of a moving average of the encoder
    "head": ("objective=MultiHead(heads=2, hidden=8)",),  # layers of the embeddings' width
}
"""What is remembered between steps."""
WRITES = (
    ("half", "model.safetensors"),
    ("half", "optimizer.pt"),
    ("half", "rng_state.pth"),
    ("write", "trainer_state.json"),
    ("write", ".manifest.json.partial"),
    ("rename", ".manifest.json.partial"),
    ("remove", COMPLETE),
)
"""Moments of a checkpoint, in their order; the last is that of an older one being removed."""


@pytest.fixture(scope="module", params=OBJECTIVES)
def remembered(request, pairs, tokenizer, tmp_path_factory):
    """What a run needs, and the folder of one that nobody disturbed."""
    arguments = {
        "model": runs.static(tokenizer),
        "settings": (*SETTINGS, *OBJECTIVES[request.param]),
    }
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train(pairs, out=out, **arguments) == ("done", None)
    return request.param, arguments, out


def in_checkpoint(kind, name):
    return lambda told, what: told == kind and str(what).startswith("checkpoints/") and str(what).endswith(f"/{name}")


@pytest.mark.slow
def test_killed_at_random_steps_and_writes(remembered, pairs, tmp_path):
    name, arguments, whole = remembered
    draw = random.Random(name)
    out = tmp_path / "run"
    moments, resume = [], False
    for step in sorted(draw.sample(range(2, STEPS - 2), 2)):
        run = Process(pairs, out=out, **arguments, resume=resume)
        assert run.until(lambda told, what, step=step: told == "step" and what == step), run.reports[-3:]
        moment = draw.choice([None, *WRITES])
        if moment is None:  # anywhere in the next steps
            run.kill(after=draw.uniform(0, 0.05))
        else:
            assert run.until(in_checkpoint(*moment)), run.reports[-3:]
            run.kill()
        moments.append((step, moment))
        resume = True
    again = Process(pairs, out=out, **arguments, resume=True)
    assert again.end() == ("done", None), moments
    same_result(out, whole, python=True)
    assert not list(out.rglob("*.partial")), moments


@pytest.mark.slow
def test_killed_at_every_moment_of_a_checkpoint(reference, pairs, tmp_path):
    arguments, whole = reference
    out = tmp_path / "run"
    last = 0
    for moment, step in zip(WRITES, (5, 8, 10, 15, 16, 20, 24), strict=True):
        run = Process(pairs, out=out, **arguments, resume=step > 5)
        assert run.until(lambda told, what: told == "step") == ("step", last + 1), moment
        assert run.until(lambda told, what, step=step: (told, what) == ("step", step))
        assert run.until(in_checkpoint(*moment)), moment
        run.kill()
        whole_ones = [path.name for path in complete_checkpoints(out / "checkpoints")]
        assert (f"checkpoint-{step}" in whole_ones) == (moment == WRITES[-1]), moment
        last = int(whole_ones[-1].rpartition("-")[2]) if whole_ones else 0
    again = Process(pairs, out=out, **arguments, resume=True)
    assert again.until(lambda told, what: told == "step") == ("step", last + 1)
    assert again.end() == ("done", None)
    same_result(out, whole, python=True)


@pytest.fixture(scope="module")
def reference(pairs, tokenizer, tmp_path_factory):
    """A run that nobody disturbed."""
    arguments = {"model": runs.static(tokenizer), "settings": SETTINGS}
    out = tmp_path_factory.mktemp("reference") / "run"
    assert train(pairs, out=out, **arguments) == ("done", None)
    return arguments, out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_stops(reference, pairs, tmp_path, number):
    arguments, whole = reference
    out = tmp_path / "run"
    run = Process(pairs, out=out, **arguments)
    assert run.until(lambda told, what: (told, what) == ("step", 11))
    run.send(number)
    kind, message = run.end()
    step = run.reports[-2][1] if run.reports[-2][0] == "step" else None
    assert kind == "error"
    assert message.startswith("Stopped: Stopped after step 1")
    assert message.endswith("; everything up to there is saved. To go on, add --resume to the same command.")
    again = Process(pairs, out=out, **arguments, resume=True)
    first = again.until(lambda told, what: told == "step")
    assert step is None or first == ("step", step + 1)
    assert f"after step {first[1] - 1};" in message
    assert again.end() == ("done", None)
    same_result(out, whole, python=True)
