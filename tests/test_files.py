import errno
import json
import os
import re
from pathlib import Path

import pytest

from nearfar.errors import ResourceError
from nearfar.files import atomic, reason_of, replace_folder, sync, write_json, write_text


def test_text_and_json(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "ä\n")
    write_json(tmp_path / "b.json", {"b": "ü", "a": [1]})
    assert (tmp_path / "new" / "a.txt").read_bytes() == "ä\n".encode()
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == '{\n  "b": "ü",\n  "a": [\n    1\n  ]\n}\n'


def test_numbers_that_json_lacks_leave_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": 1}


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_in_between_leaves_what_was_there(tmp_path, error):
    write_text(tmp_path / "a.txt", "old")
    expected = ResourceError if isinstance(error, OSError) else KeyboardInterrupt

    def fail():
        with atomic(tmp_path / "a.txt") as partial:
            partial.write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(expected):
        fail()
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_full_disk_is_named(tmp_path):
    message = f"Cannot write {tmp_path / 'a.txt'}: No space left on device. Free space"
    with pytest.raises(ResourceError, match=re.escape(message)), atomic(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_path_below_a_file(tmp_path):
    write_text(tmp_path / "file", "mine")
    with pytest.raises(ResourceError, match="Cannot write"):
        write_text(tmp_path / "file" / "below", "text")


def fill(text):
    def write(folder):
        (folder / "inside").mkdir()
        (folder / "inside" / "a.txt").write_text(text, encoding="utf-8")

    return write


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for text in ("old", "new"):
        replace_folder(tmp_path / "x", fill(text))
    assert (tmp_path / "x" / "inside" / "a.txt").read_text(encoding="utf-8") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_could_not_be_filled_leaves_the_old_one(tmp_path):
    def broken(folder):
        (folder / "a.txt").write_text("half", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    replace_folder(tmp_path / "x", fill("old"))
    with pytest.raises(ResourceError, match="No space left"):
        replace_folder(tmp_path / "x", broken)
    assert (tmp_path / "x" / "inside" / "a.txt").read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_leftovers_of_a_kill_do_not_matter(tmp_path):
    for name in (".x.partial", ".x.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "junk").write_text("junk", encoding="utf-8")
    replace_folder(tmp_path / "x", fill("new"))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["inside"]


def test_what_the_system_said_is_found_behind_other_errors():
    after = RuntimeError("PytorchStreamWriter failed writing file data/0")
    after.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert reason_of(after) == "No space left on device"
    closing = RuntimeError("unexpected pos 64 vs 0")
    closing.__context__ = after  # as writers do while they close
    assert reason_of(closing) == "No space left on device"
    assert reason_of(OSError("9600 requested and 468 written")) == "9600 requested and 468 written (is the disk full?)"
    assert reason_of(RuntimeError("first.\nsecond")) == "first (is the disk full?)"
    assert reason_of(RuntimeError()) == "RuntimeError (is the disk full?)"


def test_every_file_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done = []
    real = (os.fsync, Path.replace)

    def fsync(handle):
        done.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().relative_to(tmp_path)}")
        real[0](handle)

    def rename(path, target):
        done.append(f"name {target.relative_to(tmp_path)}")
        return real[1](path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    write_text(tmp_path / "a.txt", "text")
    assert done == ["sync .a.txt.partial", "name a.txt", "sync ."]
    done.clear()
    replace_folder(tmp_path / "model", fill("text"))
    assert done[-3:] == ["sync .model.partial", "name model", "sync ."]
    assert sorted(done[:-3]) == ["sync .model.partial/inside", "sync .model.partial/inside/a.txt"]
    done.clear()
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    sync(tmp_path, deep=False)
    assert done == ["sync ."]


def test_a_folder_that_cannot_be_synchronised_is_no_mistake(tmp_path, monkeypatch):
    real = os.fsync

    def files_only(handle):
        if Path(f"/proc/self/fd/{handle}").readlink().is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    write_text(tmp_path / "a.txt", "text")
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    sync(tmp_path)


def test_a_disk_that_is_full_after_all_leaves_the_old_file(tmp_path, monkeypatch):
    write_text(tmp_path / "a.txt", "old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        write_text(tmp_path / "a.txt", "new")
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("a.txt", "old")]
