import multiprocessing
import os

import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError, ResourceError
from nearfar.negatives.engines import Inline, Processes, local
from tests.negatives.heard import Heard
from tests.negatives.tasks import Deadly, Square, Where, Wrong


@pytest.fixture(scope="module")
def two():
    with Processes(2) as engine:
        yield engine


def children():
    return {child.pid for child in multiprocessing.active_children()}


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_task_is_done_once(two, count):
    for engine in (Inline(), two):
        found = sorted((number, int(result[0])) for number, result in engine.results(map(Square, range(count))))
        assert found == [(number, number**2) for number in range(count)]


def test_processes_are_kept_and_have_one_thread(two):
    first = {tuple(result.tolist()) for _, result in two.results([Where()] * 6)}
    again = {tuple(result.tolist()) for _, result in two.results([Where()] * 6)}
    assert first | again == first
    assert len(first) == 2
    assert {threads for _, threads in first} == {1}
    assert os.getpid() not in {pid for pid, _ in first}
    assert [result[0] for _, result in Inline().results([Where()])] == [os.getpid()]


def test_errors_come_back_in_their_own_words(two):
    with pytest.raises(DataError, match=r"^Broken by the user\.$"):
        list(two.results([Square(1), Wrong("nearfar")]))
    with pytest.raises(RuntimeError, match=r"(?s)KeyError: 'broken by us'.*in run"):
        list(two.results([Wrong("other")]))
    assert [int(result[0]) for _, result in two.results([Square(3)])] == [9]


def test_a_dead_worker_is_replaced(two, tmp_path):
    heard = Heard()
    tasks = [Square(2), Deadly(Square(3), tmp_path, times=2), Square(4)]
    assert {number: int(result[0]) for number, result in two.results(tasks, heard)} == {0: 4, 1: 9, 2: 16}
    assert heard.said == ["A worker process was killed (signal 9); another one does its task."] * 2


def test_a_task_that_kills_everybody_is_given_up(two, tmp_path):
    with pytest.raises(ResourceError, match=r"was killed \(signal 9\), 3 times at the same task. Did memory run out"):
        list(two.results([Deadly(Square(3), tmp_path, times=99)]))
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_is_left_running(tmp_path):
    before = children()
    with Processes(2) as engine:
        list(engine.results([Square(1)]))
        assert len(children() - before) == 1  # no more than there are tasks
        results = engine.results(map(Square, range(9)))
        next(results)
        results.close()  # its reader had enough
        assert children() == before
    assert children() == before


def test_what_cannot_be_sent_is_told(two):
    class Inside(Square):
        pass

    with pytest.raises((AttributeError, TypeError), match="Inside"):
        list(two.results([Inside(1)]))


def test_number_of_workers():
    assert isinstance(local(1), Inline)
    assert isinstance(local(2), Processes)
    for make in (local, Processes):
        with pytest.raises(ConfigError, match="workers must be at least 1, got 0"):
            make(0)


def test_results_are_the_arrays(two):
    result = next(two.results([Square(5)]))[1]
    assert result.dtype == np.int64
