"""Finished runs beside one another. With folders that jobs wrote: ``tests/cli/test_compare.py``."""

import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import nearfar
from nearfar import ConfigError, DataError
from nearfar.evaluation.comparison import Comparison
from nearfar.files import write_json


def write(folder, values, *, trained=False, documents=9, prefix="q", measures=("nDCG@10", "RR@10")):
    """A folder as ``evaluate --out`` leaves it, or as training does."""
    place, system = (folder / "evaluation", "tuned") if trained else (folder, "model")
    rows = [
        {"query_id": f"{prefix}{number}", "measure": measure, "value": value / (1 + at), "system": name}
        for name in ("base", system)[not trained :]
        for at, measure in enumerate(measures)
        for number, value in enumerate(values if name == system else [0.0] * len(values))
    ]
    scores = {"split": "test", "queries": len(values), "documents": documents, "systems": {system: {}}}
    write_json(place / "scores.json", scores)
    parquet.write_table(pa.Table.from_pylist(rows), place / "per_query.parquet")
    if trained:
        record = {"data": "sets/pairs.jsonl", "objective": "InfoNCE", "parameters": 7, "seconds": {"train": 2.5}}
        write_json(folder / "run.json", record)
    return folder


@pytest.fixture
def runs(tmp_path):
    """A run and the measurement of another model."""
    return [
        write(tmp_path / "tuned", [0.9, 0.8, 0.9, 0.6, 0.7, 0.9], trained=True),
        write(tmp_path / "plain", [0.4, 0.5, 0.3, 0.2, 0.2, 0.5]),
    ]


def test_a_run_and_an_evaluation(runs, tmp_path):
    found = nearfar.compare(runs, out=tmp_path / "out", settings=["baseline=plain", "measure=RR@10"])
    (table,) = found.tables
    assert {standing.system: standing.mean for standing in table.standings} == pytest.approx(
        {"tuned": 0.4, "plain": 0.175}
    )
    (versus,) = table.versus
    assert (versus.treatment, versus.verdict) == ("tuned", "better")
    assert versus.difference == pytest.approx(0.225)
    assert (table.seeds, table.name) == ({}, "pairs.jsonl")
    assert "may be luck" in found.notes[0]
    assert "has 6 queries. Intervals from so few are doubtful." in found.notes[1]
    assert [(cost.system, cost.train_seconds, cost.parameters) for cost in found.costs] == [
        ("tuned", 2.5, 7.0),
        ("plain", None, None),
    ]
    assert [(system.kind, system.settings) for system in found.systems] == [("run", "InfoNCE"), ("run", "model")]
    assert Comparison.read(tmp_path / "out") == found
    assert (tmp_path / "out" / "report.html").is_file()


def test_names_are_the_ends_of_paths_that_differ(tmp_path):
    folders = [write(tmp_path / part / "same", [0.1, 0.2]) for part in ("one", "two")]
    assert [system.name for system in nearfar.compare(folders).systems] == ["one/same", "two/same"]


def test_what_cannot_be_compared(runs, tmp_path):
    tuned, plain = runs

    def refused(kind, message, *folders, settings=()):
        with pytest.raises(kind, match=message):
            nearfar.compare(list(folders), settings=settings)

    other = write(tmp_path / "other", [0.1, 0.2], prefix="p")
    refused(DataError, "'tuned' and 'other' were measured on different queries: only 'tuned' has 6", tuned, other)
    refused(ConfigError, "is a folder. Give two folders", tuned)
    refused(ConfigError, "is given twice", tuned, tuned)
    refused(ConfigError, r"There is no folder .*othr. Did you mean 'other'", tuned, tmp_path / "othr")
    refused(ConfigError, "measure that all runs have 'RR@1'. Did you mean 'RR@10'", *runs, settings=["measure=RR@1"])
    refused(ConfigError, "there is no run 'plan'. Did you mean 'plain'", *runs, settings=["baseline=plan"])
    smaller = write(tmp_path / "smaller", [0.1] * 6, documents=8)
    refused(DataError, "'plain' searched 9 documents and 'smaller' 8", plain, smaller)
    alone = [write(tmp_path / name, [0.5]) for name in ("first", "second")]
    refused(DataError, "needs at least 2 queries", *alone)
    strange = write(tmp_path / "strange", [0.1] * 6, measures=("AP",))
    refused(ConfigError, "There is no measure that all runs have", plain, strange)


def test_folders_that_hold_no_values(runs, tmp_path):
    tuned, plain = runs
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"holds no measured values: .*nearfar evaluate --out"):
        nearfar.compare([plain, tmp_path / "empty"])
    (tuned / "evaluation" / "scores.json").unlink()
    with pytest.raises(ConfigError, match="has not trained to the end"):
        nearfar.compare([plain, tuned])
    scores = plain / "scores.json"
    known = scores.read_text(encoding="utf-8")
    scores.write_text(json.dumps({"results": []}), encoding="utf-8")
    with pytest.raises(ConfigError, match="results of tasks other than retrieval"):
        nearfar.compare([plain, tuned])
    scores.write_text(known.replace('"model"', '"another"'), encoding="utf-8")
    with pytest.raises(DataError, match="must hold each measure of each query of 'another'"):
        nearfar.compare([plain, write(tmp_path / "fine", [0.1, 0.2])])
    (plain / "per_query.parquet").write_text("half", encoding="utf-8")
    with pytest.raises(DataError, match=r"per_query.parquet cannot be read"):
        nearfar.compare([plain, tmp_path / "fine"])
