"""Checkpoints: what counts as whole, which one is gone on from, and which are kept."""

import json
import os

import pytest

from nearfar.errors import ResourceError
from nearfar.files import write_json
from nearfar.training import checkpoints
from nearfar.training.checkpoints import (
    COMPLETE,
    DAMAGED,
    complete_checkpoints,
    damage,
    drop_incomplete_checkpoints,
    find_usable,
    keep_checkpoints,
    seal,
)


def write(folder, step, best=None, complete=True):
    path = folder / f"checkpoint-{step}"
    (path / "deep").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(os.urandom(100))
    (path / "deep" / "shard").write_bytes(os.urandom(10))
    (path / "trainer_state.json").write_text(json.dumps({"step": step}), encoding="utf-8")
    if complete:
        seal(path, best)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def change(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_manifest_has_every_file(tmp_path):
    path = write(tmp_path, 8, best=4)
    manifest = json.loads((path / COMPLETE).read_text(encoding="utf-8"))
    assert (manifest["step"], manifest["best_step"]) == (8, 4)
    assert {name: entry["bytes"] for name, entry in manifest["files"].items()} == {
        "deep/shard": 10,
        "model.safetensors": 100,
        "trainer_state.json": 11,
    }
    assert damage(path) is None


def test_the_manifest_comes_last_and_after_the_disk(tmp_path, monkeypatch):
    path = write(tmp_path, 8, complete=False)
    done = []
    sync = checkpoints.sync
    monkeypatch.setattr(checkpoints, "sync", lambda *given, **how: (done.append(given[0].name), sync(*given, **how)))
    monkeypatch.setattr(
        checkpoints, "write_json", lambda path, value: (done.append(path.name), write_json(path, value))
    )
    seal(path, None)
    assert done == ["checkpoint-8", COMPLETE, "checkpoints" if tmp_path.name == "checkpoints" else tmp_path.name]


def test_a_disk_that_fills_up_before_the_manifest_leaves_none(tmp_path, monkeypatch):
    path = write(tmp_path, 8, complete=False)

    def full(*given, **how):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "sync", full)
    with pytest.raises(OSError, match="No space left"):
        seal(path, None)
    assert not (path / COMPLETE).exists()
    monkeypatch.undo()
    monkeypatch.setattr("nearfar.files.sync", full)
    with pytest.raises(ResourceError, match="No space left"):
        seal(path, None)
    assert names(path) == ["deep", "model.safetensors", "trainer_state.json"]


DAMAGES = {
    "model.safetensors has 40 bytes, 100 were written": lambda path: os.truncate(path / "model.safetensors", 40),
    "the content of model.safetensors is not what was written": lambda path: change(path / "model.safetensors"),
    "deep/shard is missing": lambda path: (path / "deep" / "shard").unlink(),
    "its manifest.json cannot be read": lambda path: os.truncate(path / COMPLETE, 20),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_damage_is_named_and_the_one_before_is_used(tmp_path, reason):
    write(tmp_path, 8, best=8)
    path = write(tmp_path, 16, best=8)
    DAMAGES[reason](path)
    content = {each.name: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    assert damage(path) == reason
    found = find_usable(tmp_path)
    assert (found.path, found.step) == (tmp_path / "checkpoint-8", 8)
    assert found.notes == (
        f"The checkpoint {path} was skipped: {reason}.",
        f"Training goes on from checkpoint-8. What was skipped is in {tmp_path / DAMAGED}; it may be deleted.",
    )
    aside = tmp_path / DAMAGED / "checkpoint-16"
    assert {each.name: each.read_bytes() for each in aside.rglob("*") if each.is_file()} == content
    assert names(tmp_path) == ["checkpoint-8", DAMAGED]
    assert find_usable(tmp_path).notes == ()


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_disk_that_does_not_give_back_what_it_has(tmp_path, monkeypatch, error):
    path = write(tmp_path, 8)

    def broken(path):
        raise error

    monkeypatch.setattr(checkpoints, "_hash", broken)
    assert damage(path) == f"it cannot be read ({error.strerror})"


def test_without_its_best_a_checkpoint_is_of_no_use(tmp_path):
    for step, best in ((4, 4), (8, 8), (12, 8), (16, 8)):
        write(tmp_path, step, best)
    change(tmp_path / "checkpoint-8" / "model.safetensors")
    found = find_usable(tmp_path)
    assert found.step == 4
    assert [note.partition(" was skipped: ")[2] for note in found.notes[:3]] == [
        "the best checkpoint before it, checkpoint-8, is damaged: the content of model.safetensors is not what was "
        "written.",
        "the best checkpoint before it, checkpoint-8, is damaged: the content of model.safetensors is not what was "
        "written.",
        "the content of model.safetensors is not what was written.",
    ]
    assert names(tmp_path / DAMAGED) == ["checkpoint-12", "checkpoint-16", "checkpoint-8"]


def test_a_best_checkpoint_that_is_gone(tmp_path):
    write(tmp_path, 12, 8)
    found = find_usable(tmp_path)
    assert (found.path, found.step) == (None, 0)
    assert found.notes[0].endswith("was skipped: the best checkpoint before it, checkpoint-8, is missing.")
    assert found.notes[1].startswith("No other is left, so training starts at step 0.")


def test_what_was_set_aside_stays_when_it_happens_again(tmp_path):
    for _ in range(3):
        change(write(tmp_path, 8) / "model.safetensors")
        assert find_usable(tmp_path).path is None
    assert names(tmp_path / DAMAGED) == ["checkpoint-8", "checkpoint-8.2", "checkpoint-8.3"]


def test_nothing_there(tmp_path):
    assert (find_usable(tmp_path).step, find_usable(tmp_path / "none").notes) == (0, ())
    assert complete_checkpoints(tmp_path / "none") == []
    drop_incomplete_checkpoints(tmp_path / "none")


def test_only_complete_checkpoints_count_and_the_oldest_is_first(tmp_path):
    for step in (2, 10, 9, 100):
        write(tmp_path, step, complete=step != 9)
    (tmp_path / "checkpoint-x").mkdir()
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-10", "checkpoint-100"]
    drop_incomplete_checkpoints(tmp_path)
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-100", "checkpoint-2", "checkpoint-x"]


@pytest.mark.parametrize(
    ("best", "kept"),
    [
        ({16: 16, 20: 20}, {16, 20}),
        ({16: 12, 20: 20}, {12, 16, 20}),
        ({16: 4, 20: 4}, {4, 16, 20}),
        ({16: 4, 20: 4, 24: 24}, {4, 20, 24}),
        ({4: None}, {4}),
    ],
)
def test_the_two_newest_are_kept_with_the_best_of_each(tmp_path, best, kept):
    for step in range(4, 4 + max(best), 4):
        write(tmp_path, step, best.get(step, 4))
    keep_checkpoints(tmp_path)
    assert {int(name.rpartition("-")[2]) for name in names(tmp_path)} == kept
    assert find_usable(tmp_path).step == max(kept)


def test_with_the_newest_damaged_the_one_before_is_enough(tmp_path):
    for step, best in ((4, 4), (8, 4), (12, 12)):
        write(tmp_path, step, best)
        keep_checkpoints(tmp_path)
    change(tmp_path / "checkpoint-12" / "trainer_state.json")
    assert find_usable(tmp_path).step == 8
