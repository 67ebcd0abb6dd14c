"""Mining while several processes train: one mines, all use what it found, and the run is that of one process."""

import sys

import pytest

from tests import runs
from tests.gloo import run_ranks
from tests.training import miner
from tests.training.test_ranks import STATIC, assert_equal, train

SETTINGS = (*STATIC, "training.steps=10", "dev.evaluations=2", "mining.refresh=3 steps")


def mining(data, out, model, settings, python):
    """As ``train``, with the small miner."""
    from nearfar.training import refresh

    before, executable, asked = refresh.miner, sys.executable, []

    def mine(folder, *more):
        asked.append(int(folder.parent.name))
        miner.mine(folder, *more)

    sys.executable = python
    refresh.miner = lambda: miner.mine_slowly if "mining.beside=2" in settings else mine
    try:
        outcome, _ = train(data, out, model, settings)
    finally:
        refresh.miner, sys.executable = before, executable
    return outcome, asked


@pytest.mark.parametrize("more", [(), ("mining.beside=2",)])
def test_two_processes_mine_as_one(commands, pairs, tokenizer, tmp_path, more):
    given = (runs.static(tokenizer), (*SETTINGS, *more), str(commands / "python"))
    alone, asked = mining(pairs, tmp_path / "one", *given)
    assert not isinstance(alone, str), alone
    (first, by_first), (other, by_other) = run_ranks(2, mining, pairs, tmp_path / "two", *given)
    assert first == other
    assert by_first == asked
    assert by_other == []
    assert_equal(tmp_path / "two", tmp_path / "one", 1e-5, 1e-5)
