"""Run folders: never overwritten unasked, and resumed only as what they are."""

import json

import pytest

from nearfar.config.read import override, write_yaml
from nearfar.config.run import RunConfig
from nearfar.errors import ConfigError, ResourceError
from nearfar.training.folder import (
    COMPLETE,
    FINISHED,
    RunFolder,
    check_new,
    check_run,
    complete_checkpoints,
    drop_incomplete_checkpoints,
    open_run,
    read_run,
)

CONFIG = write_yaml(RunConfig())
INPUTS = {"data": "pairs.csv", "model": "package:tiny"}


def everything(path):
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


@pytest.fixture
def started(tmp_path):
    return open_run(tmp_path / "run", CONFIG, INPUTS, resume=False)


def test_checking_writes_nothing(tmp_path):
    check_run(tmp_path / "a" / "run", CONFIG, INPUTS, resume=False)
    check_run(tmp_path / "a" / "run", CONFIG, INPUTS, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_new_run_records_what_it_is(started):
    assert started.config.read_text(encoding="utf-8") == CONFIG
    assert started.read_record() == {**INPUTS, "state": "started"}
    assert read_run(started.path) == started


def test_an_empty_folder_is_new(tmp_path):
    (tmp_path / "run").mkdir()
    assert open_run(tmp_path / "run", CONFIG, INPUTS, resume=True).record.is_file()


def test_a_run_is_not_started_twice(started):
    before = everything(started.path)
    with pytest.raises(ResourceError, match=r"already holds an unfinished run. Nothing was changed. Go on .* --resume"):
        open_run(started.path, CONFIG, INPUTS, resume=False)
    started.update_record(state=FINISHED)
    with pytest.raises(ResourceError, match=r"already holds a finished run. .* To train anew, choose another --out"):
        open_run(started.path, CONFIG, INPUTS, resume=False)
    assert everything(started.path).keys() == before.keys()


def test_a_run_goes_on_with_the_same_settings_and_keeps_its_record(started):
    started.update_record(state="training", step=3)
    again = open_run(started.path, CONFIG, INPUTS, resume=True)
    assert again.read_record() == {**INPUTS, "state": "training", "step": 3}


def test_every_difference_is_listed(started):
    other = write_yaml(override(RunConfig(), ["training.epochs=7", "model.prompts.query='q: '", "batches.size=8"]))
    with pytest.raises(ConfigError) as caught:
        open_run(started.path, other, {**INPUTS, "data": "more.csv"}, resume=True)
    message = str(caught.value)
    assert "data: pairs.csv -> more.csv" in message
    assert "training.epochs: 3.0 -> 7.0" in message
    assert "batches.size: 64 -> 8" in message
    assert "q: " in message
    assert "model: package:tiny" not in message
    assert started.config.read_text(encoding="utf-8") == CONFIG


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    for resume in (False, True):
        with pytest.raises(ResourceError, match=r"is not empty and holds no run. Nothing was changed"):
            open_run(tmp_path, CONFIG, INPUTS, resume=resume)
    with pytest.raises(ResourceError, match=r"is not empty. Nothing was changed"):
        check_new(tmp_path)
    assert everything(tmp_path) == {"thesis.tex": b"years of work"}


def test_places_that_cannot_be_a_folder(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ResourceError, match=r"file is a file. Choose a folder"):
        check_run(file, CONFIG, INPUTS, resume=False)
    with pytest.raises(ResourceError, match=r"Cannot write into .*file. Choose another folder"):
        check_run(file / "below" / "run", CONFIG, INPUTS, resume=False)
    assert check_new(tmp_path / "a" / "b") == tmp_path / "a" / "b"


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("nearfar.training.folder.os.access", lambda path, mode: False)
    with pytest.raises(ResourceError, match=f"Cannot write into {tmp_path}"):
        check_new(tmp_path / "run")


def test_a_damaged_record_is_named(started):
    started.record.write_text("{", encoding="utf-8")
    with pytest.raises(ResourceError, match=r"run.json is damaged .* Start the run anew in another folder"):
        open_run(started.path, CONFIG, INPUTS, resume=True)


def test_reading_what_is_no_run(started):
    with pytest.raises(ConfigError, match=r"runn is not the folder of a run. Did you mean 'run'\? nearfar train"):
        read_run(started.path.parent / "runn")
    with pytest.raises(ConfigError, match=r"is not the folder of a run. It has no run.json"):
        read_run(started.path.parent)
    with pytest.raises(ConfigError, match="is not the folder of a run"):
        read_run(started.path / "no" / "where")


def test_only_complete_checkpoints_count_and_the_oldest_is_first(tmp_path):
    for step, complete in ((2, True), (10, True), (9, False), (100, True)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").touch()
        if complete:
            (folder / COMPLETE).touch()
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-10", "checkpoint-100"]
    drop_incomplete_checkpoints(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-100", "checkpoint-2"]
    assert complete_checkpoints(tmp_path / "nothing") == []
    drop_incomplete_checkpoints(tmp_path / "nothing")


def test_names_of_what_a_run_writes(tmp_path):
    folder = RunFolder(tmp_path)
    names = {
        path.name for path in vars(RunFolder).values() if isinstance(path, property) for path in [path.fget(folder)]
    }
    assert {"config.yaml", "run.json", "data.json", "training.jsonl", "checkpoints", "model", "report.html"} <= names
    assert folder.read_record() == {}
    folder.evaluation.mkdir()
    (folder.evaluation / "scores.json").write_text(json.dumps({"queries": 3}), encoding="utf-8")
    assert folder.read_scores() == {"queries": 3}
