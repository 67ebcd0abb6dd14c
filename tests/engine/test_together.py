"""Processes that meet, wait for the first one, agree, and leave it to one to tell what went wrong."""

import os

import pytest
from torch import distributed

from nearfar.config.launch import Launch
from nearfar.engine import together
from nearfar.engine.ranks import Ranks
from nearfar.errors import ConfigError, ResourceError
from tests.gloo import RankError, run_ranks


def shared():
    calls = []

    def work():
        calls.append(1)
        return {"rank": distributed.get_rank()}

    value = together.first(work)
    rank = distributed.get_rank()
    together.wait()
    flags = together.each_of(rank == 1, False, rank == 0)
    return value, len(calls), flags, together.same("equal"), together.same(str(rank))


def test_the_first_works_and_all_have_the_result():
    for rank, (value, calls, flags, equal, different) in enumerate(run_ranks(3, shared)):
        assert value == {"rank": 0}
        assert calls == (1 if rank == 0 else 0)
        assert flags == (True, False, True)
        assert equal
        assert not different


def fails(error):
    def work():
        raise error

    try:
        together.first(work)
    except Exception as caught:
        found = f"{type(caught).__name__}: {caught}"
    together.wait()  # they are still together
    return found


@pytest.mark.parametrize(
    ("error", "told"),
    [(ConfigError("no such thing"), "no such thing"), (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero")],
)
def test_what_the_first_fails_at_fails_for_all(error, told):
    expected = f"FirstFailed: {told}"
    assert run_ranks(3, fails, error) == [f"{type(error).__name__}: {error}", expected, expected]


def test_alone_nothing_is_shared():
    assert Ranks.current() == Ranks(0, 1)
    assert together.first(lambda: 7) == 7
    assert together.each_of(True, False) == (True, False)
    assert together.any_of(True)
    assert together.same("value")
    together.wait()
    together.told()
    assert together.may_tell(after_another=False)


def join_again():
    return together.join(Launch.read(), None)


def test_who_has_joined_stays():
    assert run_ranks(2, join_again) == [Ranks(0, 2), Ranks(1, 2)]


def test_without_a_launcher_nobody_is_met():
    assert together.join(Launch(), None) == Ranks(0, 1)
    assert not distributed.is_initialized()


def one_speaks(first_speaks):
    together._GRACE = together.timedelta(seconds=1)
    together._LINGER = 0.0
    store = distributed.distributed_c10d._get_default_store()
    rank = distributed.get_rank()
    store.delete_key("nearfar/told")
    store.delete_key("nearfar/told/by")
    together.wait()
    may = together.may_tell(after_another=not first_speaks)
    if may:
        together.told()
    together.wait()
    return rank, may


def test_of_one_cause_the_first_speaks():
    assert run_ranks(3, one_speaks, True) == [(0, True), (1, False), (2, False)]


def test_of_the_loss_of_another_some_one_speaks():
    assert sum(may for _, may in run_ranks(3, one_speaks, False)) == 1


def loses_another(folder):
    if distributed.get_rank() == 1:
        os._exit(3)
    try:
        together.wait()
    except RuntimeError as error:
        (folder / "noticed").write_text(str(together.is_lost(error)))


def test_the_loss_of_another_is_noticed_and_known_as_such(tmp_path):
    with pytest.raises(RankError, match="rank 1:\ndied with exit code 3"):
        run_ranks(2, loses_another, tmp_path, limit=60)
    assert (tmp_path / "noticed").read_text() == "True"


def test_an_error_of_gloo_is_a_loss_and_others_are_not():
    assert not together.is_lost(RuntimeError("out of memory"))
    assert not together.is_lost(ValueError("gloo"))
    assert together.is_lost(RuntimeError("[third_party/gloo/transport/tcp/pair.cc] Connection closed by peer"))
    assert together.is_lost(distributed.DistBackendError("NCCL"))


def test_each_process_takes_a_gpu_of_its_own(monkeypatch):
    second = Launch(rank=1, world=2, local_rank=1, local_world=2, launched=True)
    assert together.device_of(None, second) is None
    assert together.device_of("cpu", second) == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert together.device_of(None, second) == "cuda:1"
    assert together.device_of("cuda", second) == "cuda:1"
    assert together.device_of("cuda:0", Launch()) == "cuda:0"
    with pytest.raises(ConfigError, match=r"model.device is 'cuda:0', but 2 processes run here"):
        together.device_of("cuda:0", second)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ConfigError, match="2 processes run here, and there are 1 GPUs"):
        together.device_of(None, second)


def test_others_that_do_not_come_are_told(monkeypatch):
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")  # nobody is there
    monkeypatch.setattr(together, "MEETING", together.timedelta(seconds=1))
    with pytest.raises(ResourceError, match=r"Process 1 of 2 cannot meet the others at 127.0.0.1:1: "):
        together.join(Launch.read(), None)
    assert not distributed.is_initialized()
