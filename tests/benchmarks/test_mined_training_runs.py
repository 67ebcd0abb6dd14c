"""What the benchmark of mined negatives makes of its runs."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from nearfar.negatives.registry import parse_filter

FILE = Path(__file__).parents[2] / "benchmarks" / "mined_training_runs.py"


@pytest.fixture(scope="module")
def runs_module():
    spec = importlib.util.spec_from_file_location("mined_training_runs", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHARED = {"data": "words", "model": "static", "queries": None, "epochs": 2.0, "max_length": None}


def add(runs, arm, rate, seed, dev, values):
    row = {**SHARED, "arm": arm, "rate": rate, "seed": seed, "dev": dev, "test": float(np.mean(values)), "rows": 10}
    return runs.add(row, np.array(values))


@pytest.fixture
def runs(runs_module, tmp_path):
    found = runs_module.Runs(tmp_path)
    add(found, "in-batch", 0.1, 0, 0.5, [0.9, 0.9, 0.9, 0.9])
    add(found, "in-batch", 0.2, 0, 0.6, [0.0, 0.5, 0.5, 0.0])
    add(found, "in-batch", 0.2, 1, 0.4, [0.0, 0.5, 0.5, 1.0])
    add(found, "unfiltered", 0.2, 0, 0.7, [0.5, 1.0, 1.0, 1.0])
    add(found, "unfiltered", 0.2, 1, 0.7, [0.5, 1.0, 1.0, 1.0])
    add(found, "percent 1", 0.2, 0, 0.9, [1.0, 1.0, 1.0, 1.0])
    add(found, "theirs in-batch", 0.3, 0, 0.5, [0.5, 0.5, 0.5, 0.5])
    add(found, "theirs in-batch", 0.3, 1, 0.5, [0.5, 0.5, 0.5, 0.5])
    return found


def test_every_arm_names_filters_that_there_are(runs_module):
    found = {name: runs_module.filters_of(arm) for name, arm in runs_module.ARMS.items()}
    assert found["unfiltered"] == "[]"
    assert found["default"] == "Percent(ratio=0.95)"
    assert found["percent 1"] == "Removing(share=0.01, filter=Percent)"
    assert found["margin 1"] == "Removing(share=0.01, filter=Margin)"
    for text in found.values():
        assert text == "[]" or parse_filter(text)


def test_runs_are_kept_and_found(runs, runs_module):
    key = {**SHARED, "arm": "in-batch", "rate": 0.2, "seed": 1}
    again = runs_module.Runs(runs.out)
    assert again.values(again.find(key)).tolist() == [0.0, 0.5, 0.5, 1.0]
    assert again.find({**key, "seed": 2}) is None
    assert len(again.read()) == len((runs.out / "runs.jsonl").read_text(encoding="utf-8").splitlines()) == 8


def test_nothing_is_there_at_first(runs_module, tmp_path):
    assert runs_module.summaries(runs_module.Runs(tmp_path)) == []


def test_a_summary_takes_the_rate_of_the_first_seed_on_dev_and_averages_seeds(runs, runs_module):
    (found,) = runs_module.summaries(runs)
    arms = {each["arm"]: each for each in found["arms"]}
    assert arms["in-batch"]["seeds"] == {"0": 0.25, "1": 0.5}
    assert arms["in-batch"]["test"] == 0.375
    difference = arms["unfiltered"]["against"]["in-batch"]
    assert difference["mean"] == pytest.approx(0.5)  # each query: 0.5
    assert (difference["low"], difference["high"], difference["wins"]) == (0.5, 0.5, 4)
    assert arms["percent 1"]["against"]["unfiltered"]["mean"] == pytest.approx(0.125)
    assert json.loads(json.dumps(found)) == found


def test_the_best_is_the_best_on_dev(runs, runs_module):
    (found,) = runs_module.summaries(runs)
    best = found["best"]
    assert (best["treatment"], best["control"]) == ("percent 1", "theirs in-batch")
    assert best["mean"] == pytest.approx(0.5)


def test_a_run_that_was_done_twice_counts_once(runs, runs_module):
    add(runs, "in-batch", 0.2, 1, 0.4, [0.0, 0.5, 0.5, 1.0])
    (found,) = runs_module.summaries(runs)
    assert found["arms"][0]["test"] == 0.375


def test_a_table(runs, runs_module):
    (found,) = runs_module.summaries(runs)
    lines = runs_module.table(found).splitlines()
    assert lines[0] == "words, static, all queries, 2 epochs"
    assert "| in-batch | 0.2 | 0.5000 | 0.3750 | 0.2500 to 0.5000 (2) |  | -0.5000 [-0.5000, -0.5000] |" in lines
    assert lines[-1].startswith("percent 1 against theirs in-batch: +0.5000 [")


def test_different_data_are_compared_apart(runs, runs_module):
    row = {**SHARED, "data": "others", "arm": "in-batch", "rate": 0.1, "seed": 0, "dev": 0.5, "test": 1.0, "rows": 4}
    runs.add(row, np.ones(2))
    assert [each["data"] for each in runs_module.summaries(runs)] == ["words", "others"]
    assert runs_module.summaries(runs)[1]["best"] is None
