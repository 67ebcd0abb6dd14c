"""Runs that mine while they train, killed before, while and after they mine, go on as if nothing had been."""

from functools import partial

import pytest

from tests import runs
from tests.resume.processes import Process, same_result, train
from tests.training import miner

STEPS = "training.steps=16"
SETTINGS = (*runs.FAST, STEPS, "training.save_every=3", "dev.evaluations=2", "mining.refresh=4 steps")
WAYS = {"waiting": (), "beside": ("mining.beside=3",)}
HALF = f"lists/.{miner.MOMENT}.partial"


def lists(run):
    """What was mined and is still there, without what only another process needs."""
    return {name: found for name, found in runs.contents(run / "mined").items() if "/lists/" in name}


@pytest.fixture(scope="module", params=WAYS)
def whole(request, commands, pairs, tokenizer, tmp_path_factory):
    """What a run needs, and the folder of one that nobody disturbed."""
    arguments = {
        "model": runs.static(tokenizer),
        "settings": (*SETTINGS, *WAYS[request.param]),
        "before": partial(miner.install, str(commands / "python")),
    }
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train(pairs, out=out, **arguments) == ("done", None)
    return request.param, arguments, out


def moment(name):
    return lambda told, what: (
        told in ("write", "rename") and str(what).startswith("mined/") and str(what).endswith(name)
    )


def test_killed_while_mining(whole, pairs, tmp_path):
    way, arguments, reference = whole
    out, resume = tmp_path / "run", False
    # Beside, only the start and the mark of the weights are written in the process that trains.
    moments = [f"4/{HALF}", "8/lists/.negatives.parquet.partial", "12/.done.json.partial"]
    if way == "beside":
        moments = ["4/.key.json.partial", "8/.task.pickle.partial", "12/log.txt"]
    for name in moments:
        run = Process(pairs, out=out, **arguments, resume=resume)
        assert run.until(moment(name)), (name, run.reports[-3:])
        run.kill()
        resume = True
    assert Process(pairs, out=out, **arguments, resume=True).end() == ("done", None)
    same_result(out, reference, python=True)
    assert lists(out) == lists(reference)


def test_killed_between_mining_and_use(whole, pairs, tmp_path):
    _, arguments, reference = whole
    out, resume = tmp_path / "run", False
    for step in (6, 9, 13):
        run = Process(pairs, out=out, **arguments, resume=resume)
        assert run.until(lambda told, what, step=step: (told, what) == ("step", step)), run.reports[-3:]
        run.kill()
        resume = True
    assert Process(pairs, out=out, **arguments, resume=True).end() == ("done", None)
    same_result(out, reference, python=True)
    assert lists(out) == lists(reference)
