"""Planted failures are named first, healthy runs have none, and what is not there is said, not raised."""

import json
import shutil

import numpy as np
import pytest

import nearfar
from nearfar.diagnosing.cause import NAMED, NOT_FOUND, NOT_MEASURED, Cause, Sign
from nearfar.diagnosing.diagnose import verdicts
from nearfar.diagnosing.registry import CAUSES
from nearfar.errors import ConfigError, DataError
from tests import runs
from tests.diagnosing import planted


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """A run that nothing is wrong with. Do not change it."""
    return planted.healthy(tmp_path_factory.mktemp("healthy"))


@pytest.fixture
def copy(healthy, tmp_path):
    """A copy of the healthy run that may be changed; its data and its base model are where they were."""
    return shutil.copytree(healthy, tmp_path / "run")


def named(run, **options):
    return [verdict.cause.name for verdict in nearfar.diagnose(run, **options).named]


def states(diagnosis):
    return {verdict.cause.name: verdict.state for verdict in diagnosis.verdicts}


@pytest.mark.parametrize(
    ("plant", "cause"),
    [
        (planted.collapsed, "collapse"),
        (planted.false_negatives, "false-negatives"),
        (planted.leaked, "leak"),
        (planted.shortcut, "length"),
        (planted.wrong_prompt, "prompts"),
        (planted.flat, "temperature"),
    ],
)
def test_a_planted_failure_is_named_first(plant, cause, tmp_path):
    diagnosis = nearfar.diagnose(plant(tmp_path))
    first = diagnosis.named[0]
    assert first.cause.name == cause
    assert first.strength >= 1
    assert all(verdict.behind for verdict in diagnosis.named[1:])


def test_a_healthy_run_has_none(healthy):
    diagnosis = nearfar.diagnose(healthy)
    assert set(states(diagnosis).values()) == {NOT_FOUND}
    assert diagnosis.named == ()
    assert diagnosis.notes == ()


def test_hard_negatives_that_are_right_are_none(tmp_path):
    assert named(planted.healthy_hard(tmp_path)) == []


def test_files_page_and_terminal(healthy, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    before = runs.contents(healthy)
    assert runs.nearfar("diagnose", healthy, "--against", healthy, "--out", tmp_path / "said") == 0
    assert runs.contents(healthy) == before
    shown = capsys.readouterr().out
    assert "No cause was found" in shown
    assert "No setting differs." in shown
    assert "nDCG@10: +0.0000 (+0.0000 to +0.0000) over 120 queries" in shown
    content = json.loads((tmp_path / "said" / "diagnosis.json").read_text())
    assert content["named"] == []
    assert [cause["cause"] for cause in content["causes"]] == [cause.name for cause in CAUSES]
    assert all(cause["signs"] for cause in content["causes"])
    assert content["changes"]["difference"]["mean"] == 0
    page = (tmp_path / "said" / "diagnosis.html").read_text()
    assert "No cause of trouble was found" in page


def test_what_changed_between_two_runs(healthy, copy):
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(config.replace("size: 32", "size: 16"))
    values = json.loads((copy / "evaluation" / "geometry.json").read_text())
    values["systems"]["tuned"]["queries"]["anisotropy"] = 0.95
    (copy / "evaluation" / "geometry.json").write_text(json.dumps(values))
    diagnosis = nearfar.diagnose(copy, against=healthy)
    changes = diagnosis.changes
    assert [verdict.cause.name for verdict in diagnosis.named] == ["collapse"]
    assert [(change.name, change.before, change.now) for change in changes.settings] == [("batches.size", 32, 16)]
    moved = {change.name: change.now for change in changes.measurements}
    assert next(iter(moved)) == "rise of the mean cosine of queries"
    assert moved["mean cosine of queries"] == 0.95
    assert changes.difference.mean == 0


def test_data_that_has_moved(copy, tmp_path):
    data = json.loads((copy / "run.json").read_text())["data"]
    record = json.loads((copy / "run.json").read_text()) | {"data": str(tmp_path / "gone.jsonl")}
    (copy / "run.json").write_text(json.dumps(record))
    lost = nearfar.diagnose(copy)
    found = states(lost)
    assert {name for name, state in found.items() if state == NOT_MEASURED} == {*("leak", "false-negatives", "length")}
    assert "gone.jsonl" in lost.notes[0]
    assert "--data" in lost.notes[0]
    assert NOT_MEASURED not in states(nearfar.diagnose(copy, data=data)).values()
    with pytest.raises(DataError, match=r"nowhere\.jsonl"):
        nearfar.diagnose(copy, data=tmp_path / "nowhere.jsonl")


def test_data_that_has_changed(healthy, tmp_path):
    other = planted.write(tmp_path / "pairs.jsonl", planted.pairs(9))
    diagnosis = nearfar.diagnose(healthy, data=other)
    assert "is not the data of this run" in diagnosis.notes[0]
    assert states(diagnosis)["collapse"] == NOT_FOUND


def test_a_model_that_is_gone(copy):
    record = json.loads((copy / "run.json").read_text()) | {"model": "/nowhere/model"}
    (copy / "run.json").write_text(json.dumps(record))
    shutil.rmtree(copy / "model")
    found = states(nearfar.diagnose(copy))
    assert found["prompts"] == NOT_MEASURED
    assert found["length"] == found["leak"] == found["temperature"] == NOT_FOUND


def test_numbers_that_are_not_finite_are_a_cause(copy):
    vectors = np.load(copy / "evaluation" / "tuned.documents.npy")
    vectors[3] = np.nan
    np.save(copy / "evaluation" / "tuned.documents.npy", vectors)
    first = nearfar.diagnose(copy).named[0]
    assert (first.cause.name, first.signs[0].value) == ("not-finite", 1)
    assert "1 of 500 document vectors of the tuned model" in first.signs[0].sentence


def test_a_run_that_broke(copy):
    for name in ("model", "evaluation"):
        shutil.rmtree(copy / name)
    (copy / "broken-step-12.jsonl").write_text("{}\n")
    record = json.loads((copy / "run.json").read_text()) | {"state": "training"}
    (copy / "run.json").write_text(json.dumps(record))
    diagnosis = nearfar.diagnose(copy)
    assert [verdict.cause.name for verdict in diagnosis.named] == ["not-finite"]
    assert "broken-step-12.jsonl" in diagnosis.named[0].signs[0].sentence
    assert "not finished" in diagnosis.notes[0]
    unmeasured = {verdict.cause.name: verdict.why for verdict in diagnosis.of(NOT_MEASURED)}
    assert unmeasured["few-negatives"] == "There are no scores: the run has not come to its evaluation."


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert "is not the folder of a run" in runs.refused(capsys, "diagnose", tmp_path)
    (tmp_path / "run.json").write_text('{"job": "mine"}')
    assert "mining job" in runs.refused(capsys, "diagnose", tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no config\.yaml"):
        nearfar.diagnose(tmp_path)


@pytest.mark.parametrize(
    ("usual", "limit", "value", "low", "high", "strength"),
    [
        (0.0, 0.1, 0.2, None, None, 2.0),
        (0.0, 0.1, 0.2, 0.05, 0.4, 0.5),
        (1.0, 0.5, 0.25, None, None, 1.5),
        (1.0, 0.5, 0.25, 0.1, 0.75, 0.5),
    ],
)
def test_the_nearer_end_of_an_interval_counts(usual, limit, value, low, high, strength):
    sign = Sign(name="it", value=value, low=low, high=high, usual=usual, limit=limit, sentence="")
    assert sign.strength == pytest.approx(strength)
    assert sign.speaks == (strength >= 1)


def test_a_consequence_stands_behind_its_cause(healthy):
    def cause(name, value, *follows, excuse=""):
        sign = Sign(name=name, value=value, usual=0.0, limit=1.0, sentence="", excuse=excuse)
        words = dict.fromkeys(("title", "measured", "limit", "advice"), name)
        return Cause(name=name, look=lambda material: [sign], follows=follows, **words)

    causes = (
        cause("weak", 1.5),
        cause("strong", 9.0, "weak"),
        cause("middle", 2.0),
        cause("excused", 5.0, excuse="so"),
    )
    found = verdicts(nearfar_material(healthy), causes)
    assert [(verdict.cause.name, verdict.state, verdict.behind) for verdict in found] == [
        ("middle", NAMED, ""),
        ("weak", NAMED, ""),
        ("strong", NAMED, "weak"),
        ("excused", NOT_FOUND, ""),
    ]


def nearfar_material(run):
    from nearfar.config.read import read_config
    from nearfar.diagnosing.material import Material
    from nearfar.reports.folder import read_run
    from nearfar.training.folder import RunFolder

    folder = RunFolder(run)
    return Material(folder, read_run(run), read_config(folder.config), "no data")


def test_every_cause_is_explained_in_the_documentation():
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "concepts" / "failure-modes.md").read_text()
    headings = {line[4:].lower().replace(" ", "-") for line in text.splitlines() if line.startswith("### ")}
    assert [cause.name for cause in CAUSES if cause.name not in headings] == []
    for cause in CAUSES:
        assert set(cause.follows) <= {each.name for each in CAUSES}
