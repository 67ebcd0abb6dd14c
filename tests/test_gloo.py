"""The helper that runs tests on several ranks: results come back in order, and nothing hangs."""

import os
import time

import pytest
import torch
from torch import distributed

from tests.gloo import RankError, run_ranks


def summed(offset):
    value = torch.tensor([float(distributed.get_rank() + offset)])
    distributed.all_reduce(value)
    return distributed.get_rank(), distributed.get_world_size(), float(value)


def fails_on_one():
    if distributed.get_rank() == 1:
        raise ValueError("this one")
    distributed.barrier()


def dies():
    if distributed.get_rank() == 0:
        os._exit(7)
    time.sleep(60)


def sleeps():
    time.sleep(60)


def process():
    return os.getpid(), torch.get_num_threads()


@pytest.mark.parametrize("world", [2, 3])
def test_each_rank_answers_in_order(world):
    total = float(sum(range(10, 10 + world)))
    assert run_ranks(world, summed, 10) == [(rank, world, total) for rank in range(world)]


def test_the_processes_are_used_again():
    before, after = run_ranks(2, process), run_ranks(2, process)
    assert before == after
    assert len({pid for pid, _ in before}) == 2
    assert {threads for _, threads in before} == {1}


@pytest.mark.parametrize(
    ("function", "limit", "told"),
    [(fails_on_one, 30, "rank 1:\n.*ValueError: this one"), (dies, 30, "exit code 7"), (sleeps, 0.5, "no answer")],
)
def test_a_failure_is_told_and_the_next_call_works(function, limit, told):
    start = time.monotonic()
    with pytest.raises(RankError, match=f"(?s){told}"):
        run_ranks(2, function, limit=limit)
    assert time.monotonic() - start < 25
    assert run_ranks(2, summed, 0)[1] == (1, 2, 1.0)
