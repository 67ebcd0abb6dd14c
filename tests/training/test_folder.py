"""Run folders: never overwritten unasked, and resumed only as what they are."""

import json

import pytest

from nearfar.config.read import override, write_yaml
from nearfar.config.run import RunConfig
from nearfar.errors import ConfigError, ResourceError
from nearfar.training.folder import FINISHED, RunFolder, check_new, check_run, open_run, read_run
from nearfar.training.lock import LOCK, locked

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


def test_every_difference_is_a_line(started):
    changes = ["training.epochs=7", "model.prompts.query='q: '", "batches.size=8", "training.steps=5", "objective=DCL"]
    other = write_yaml(override(RunConfig(), changes))
    before = everything(started.path)
    with pytest.raises(ConfigError) as caught:
        open_run(started.path, other, {**INPUTS, "data": "more.csv"}, resume=True)
    assert str(caught.value).splitlines() == [
        f"{started.path} holds a run with other settings:",
        "  data: pairs.csv -> more.csv",
        "  objective: InfoNCE(temperature=0.05, directions=symmetric) -> DCL",
        "  batches.size: 64 -> 8",
        "  training.epochs: 3.0 -> 7.0",
        "  training.steps: null -> 5",
        '  model.prompts.query: (not there) -> "q: "',
        "Nothing was changed. Use the settings of the run, or another --out.",
    ]
    assert everything(started.path) == before


def test_a_setting_of_another_version_is_told_from_none(started):
    lines = CONFIG.replace("  save_every: null\n", "").replace("  schedule:", "  old: true\n  schedule:")
    started.config.write_text(lines, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        open_run(started.path, CONFIG, INPUTS, resume=True)
    assert str(caught.value).splitlines()[1:-1] == [
        "  training.old: true -> (not there)",
        "  training.save_every: (not there) -> null",
    ]


def test_how_a_configuration_is_written_does_not_matter(started):
    started.config.write_text(f"# mine\n{CONFIG}", encoding="utf-8")
    assert open_run(started.path, CONFIG, INPUTS, resume=True) == started


def test_a_damaged_configuration_is_named(started):
    started.config.write_text("training: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config.yaml of the run is damaged"):
        open_run(started.path, CONFIG, INPUTS, resume=True)


def test_a_lock_alone_is_no_run(tmp_path):
    with locked(tmp_path / "run"):
        open_run(tmp_path / "run", CONFIG, INPUTS, resume=False)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / LOCK).touch()
    check_run(tmp_path / "new", CONFIG, INPUTS, resume=False)


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_at_work_is_left_alone(started, resume):
    with locked(started.path), pytest.raises(ResourceError, match=r"run is in use by process \d+ on .*\. Nothing was"):
        check_run(started.path, CONFIG, INPUTS, resume)
    check_run(started.path, CONFIG, INPUTS, resume=True)


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
