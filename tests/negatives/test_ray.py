import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError, ResourceError
from nearfar.negatives import ray_engine
from nearfar.negatives.engines import Inline
from nearfar.negatives.ray_engine import Ray
from nearfar.negatives.store import KeptVectors
from nearfar.negatives.vectors import ModelName
from tests.encoders.models import TINY
from tests.negatives import kept
from tests.negatives.heard import Heard
from tests.negatives.tasks import Deadly, Square, Where, Wrong


@pytest.fixture(scope="module")
def two():
    with Ray(2) as engine:
        yield engine


def test_every_task_is_done_once(two):
    assert list(two.results([])) == []
    for count in (1, 5):
        found = sorted((number, int(result[0])) for number, result in two.results(map(Square, range(count))))
        assert found == [(number, number**2) for number in range(count)]


def test_a_dead_worker_is_replaced(two, tmp_path):
    tasks = [Square(2), Deadly(Where(), tmp_path), Square(4), Square(5)]
    found = dict(two.results(tasks))
    assert [int(found[number][0]) for number in (0, 2, 3)] == [4, 16, 25]
    pid, threads = found[1]
    assert (threads, len(list(tmp_path.iterdir()))) == (1, 1)
    assert pid != os.getpid()


def test_errors_come_back_in_their_own_words(two):
    with pytest.raises(DataError, match=r"^Broken by the user\.$"):
        list(two.results([Square(1), Wrong("nearfar")]))
    with pytest.raises(RuntimeError, match=r"(?s)KeyError: 'broken by us'.*in run"):
        list(two.results([Wrong("other")]))


@pytest.mark.slow
def test_bytes_are_those_of_one_process_also_when_a_worker_dies(two, tmp_path, monkeypatch):
    kept.small_pieces(monkeypatch.setattr)
    data, model = kept.data(), ModelName(name=TINY, device="cpu", precision="bfloat16")
    rows, died = np.arange(len(data.queries), dtype=np.int32), tmp_path / "died"
    died.mkdir()
    for name, engine in {"one": Inline(), "ray": kept.Killing(two, died)}.items():
        KeptVectors(data, rows, model, tmp_path / name, engine).search("", 5, "Exact")
    assert len(list(died.iterdir())) == 1
    assert kept.content(tmp_path / "one") == kept.content(tmp_path / "ray")


def test_a_ray_of_the_program_is_used_and_left(two):
    import ray

    assert ray.is_initialized()
    heard = Heard()
    with Ray(1) as guest:
        assert [int(result[0]) for _, result in guest.results([Square(3)], heard)] == [9]
    assert ray.is_initialized()
    assert heard.said == []


def test_a_task_that_kills_everybody_is_given_up(two, tmp_path):
    with pytest.raises(ResourceError, match=r"(?s)Ray could not do a task: .*Did memory run out"):
        list(two.results([Deadly(Square(3), tmp_path, times=99)]))
    assert len(list(tmp_path.iterdir())) == 3


@pytest.fixture
def nothing_runs(monkeypatch):
    """No Ray is there yet, as far as the engine can see when it looks."""
    import ray

    monkeypatch.setattr(
        ray_engine, "_imported", lambda: SimpleNamespace(**{**vars(ray), "is_initialized": lambda: False})
    )
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_a_cluster_that_does_not_answer(nothing_runs, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ResourceError, match=r"No Ray cluster answers at RAY_ADDRESS=127.0.0.1:1.*unset RAY_ADDRESS"):
        next(Ray(1).results([Square(1)]))


def test_ray_that_cannot_start(nothing_runs, monkeypatch):
    def broken(**options):
        raise RuntimeError("no room for the object store.")

    found = ray_engine._imported()
    found.init = broken
    monkeypatch.setattr(ray_engine, "_imported", lambda: found)
    with pytest.raises(ResourceError, match=r"Cannot start Ray on this machine: no room.*Or do without it"):
        next(Ray(1).results([Square(1)]))


def test_ray_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'needs Ray: pip install "nearfar\[ray\]"'):
        next(Ray(1).results([Square(1)]))


def test_a_cluster_is_joined_by_its_address_and_left(two, nothing_runs, monkeypatch):
    given, found = {}, ray_engine._imported()
    found.init = given.update
    found.shutdown = lambda: given.update(left=True)
    monkeypatch.setattr(ray_engine, "_imported", lambda: found)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    monkeypatch.setattr(ray_engine, "_reach", lambda address: given.update(reached=address))
    heard = Heard()
    with Ray(2) as engine:
        assert [int(result[0]) for _, result in engine.results([Square(3)], heard)] == [9]
    assert given["reached"] == "10.0.0.7:6379"
    assert given["left"]
    assert not {"num_cpus", "object_store_memory", "address"} & set(given)  # the cluster has decided
    assert heard.said == ["Ray on the cluster at 10.0.0.7:6379: 2 processors."]


def test_number_of_workers():
    with pytest.raises(ConfigError, match="workers must be at least 1, got 0"):
        Ray(0)
