"""One process at a time, and none for ever."""

import json
import multiprocessing
import os
import socket

import pytest

from nearfar.errors import ResourceError
from nearfar.training import lock
from nearfar.training.lock import LOCK, check_unlocked, locked


def hold(folder, pipe):
    with locked(folder):
        pipe.send("held")
        pipe.recv()


def test_another_process_is_named_and_its_death_frees_the_folder(tmp_path):
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe()
    other = context.Process(target=hold, args=(tmp_path / "run", there), daemon=True)
    other.start()
    assert here.recv() == "held"
    message = (
        f"{tmp_path / 'run'} is in use by process {other.pid} on {socket.gethostname()}. Nothing was changed. "
        "Wait until it ends, stop it, or choose another --out."
    )
    with pytest.raises(ResourceError) as caught, locked(tmp_path / "run"):
        pytest.fail("two at once")
    assert str(caught.value) == message
    with pytest.raises(ResourceError) as caught:
        check_unlocked(tmp_path / "run")
    assert str(caught.value) == message
    assert json.loads((tmp_path / "run" / LOCK).read_text(encoding="utf-8"))["pid"] == other.pid
    other.kill()
    other.join()
    check_unlocked(tmp_path / "run")
    with locked(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / LOCK).read_text(encoding="utf-8"))["pid"] == os.getpid()
    with locked(tmp_path / "run"):
        pass


def test_one_process_does_not_hold_a_folder_twice(tmp_path):
    with locked(tmp_path), pytest.raises(ResourceError, match="in use by process"), locked(tmp_path):
        pytest.fail("two at once")


def test_who_only_looks_changes_nothing_and_locks_nobody_out(tmp_path, monkeypatch):
    check_unlocked(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with locked(tmp_path):
        pass
    takes = []
    take = lock._take

    def once_too_early(file, shared=False):  # as when somebody else looks just then
        takes.append(shared)
        return len(takes) > 1 and take(file, shared)

    monkeypatch.setattr(lock, "_take", once_too_early)
    with locked(tmp_path):
        assert takes == [False, False]


def test_a_lock_that_says_nothing(tmp_path):
    with locked(tmp_path):
        (tmp_path / LOCK).write_text("", encoding="utf-8")
        with pytest.raises(ResourceError, match="in use by another process"):
            check_unlocked(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="Cannot write"), locked(tmp_path / "file" / "run"):
        pytest.fail("nothing to lock")


def test_a_disk_without_locks(tmp_path, monkeypatch):
    import fcntl

    def unsupported(*given):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked(tmp_path):
        check_unlocked(tmp_path)
