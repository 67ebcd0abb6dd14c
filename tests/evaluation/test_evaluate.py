import json
import re

import numpy as np
import pytest

from nearfar.config.run import EvaluationOptions
from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.evaluate import Task, differences, evaluate_bm25, evaluate_encoder, summary, write_results
from tests.data.memory import make
from tests.evaluation.test_retrieve import Table

DOCUMENTS = ["one", "two", "three", "four"]
QUERIES = ["is one", "is two", "is three", "is nothing"]
JUDGED = [(0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 3, 0)]
GOOD = {text: [float(place == axis) for axis in range(4)] for place, text in enumerate(DOCUMENTS)}
GOOD |= {query: GOOD[document] for query, document in zip(QUERIES, DOCUMENTS, strict=True)}
POOR = {**GOOD, "is two": [0.9, 0.5, 0.0, 0.0]}
OPTIONS = EvaluationOptions(measures=("RR@10", "Success@1"), resamples=200)


def task(split=None, **splits):
    return Task.of(make(QUERIES, DOCUMENTS, splits or {"test": JUDGED}), split, OPTIONS)


@pytest.mark.parametrize(
    ("present", "expected"),
    [(("train", "dev", "test"), "test"), (("train", "dev"), "dev"), (("all",), "all"), (("train",), "train")],
)
def test_which_split_is_measured(present, expected):
    assert task(None, **dict.fromkeys(present, JUDGED)).split == expected


def test_queries_without_a_relevant_document_do_not_count():
    assert task().queries.tolist() == [0, 1, 2]


def test_wrong_splits_and_measures():
    with pytest.raises(
        ConfigError, match=re.escape("made has no split 'tset'. Did you mean 'test'? Its splits: test.")
    ):
        task("tset")
    with pytest.raises(DataError, match="No query of the split 'test' of made has a relevant document"):
        task(None, test=[(0, 0, 0)])
    with pytest.raises(ConfigError, match="nDGC@10"):
        Task.of(make(QUERIES, DOCUMENTS, {"test": JUDGED}), None, EvaluationOptions(measures=("nDGC@10",)))


def test_values_by_hand():
    good, poor = (evaluate_encoder(Table(vectors), task()) for vectors in (GOOD, POOR))
    assert good.values("RR@10").tolist() == [1.0, 1.0, 1.0]
    assert poor.values("RR@10").tolist() == [1.0, 0.5, 1.0]
    assert poor.means == {"RR@10": pytest.approx(5 / 6), "Success@1": pytest.approx(2 / 3)}
    assert differences(good, poor)["Success@1"].mean == pytest.approx(1 / 3)


def test_what_is_written(tmp_path):
    systems = {
        "good": evaluate_encoder(Table(GOOD), task()),
        "/models/poor one": evaluate_encoder(Table(POOR), task()),
        "bm25": evaluate_bm25(task()),
    }
    written = write_results(tmp_path / "out", systems, [("good", "bm25")])
    assert json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8")) == written
    assert written == summary(systems, [("good", "bm25")])
    assert list(written["systems"]) == list(systems)
    assert [(it["treatment"], it["control"], it["measure"]) for it in written["comparisons"]] == [
        ("good", "bm25", "RR@10"),
        ("good", "bm25", "Success@1"),
    ]
    # The name of a system may be a path; its file stays in the folder.
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "_models_poor_one.trec.gz",
        "bm25.trec.gz",
        "calibration.json",
        "geometry.json",
        "good.trec.gz",
        "per_query.parquet",
        "scores.json",
    ]


def test_intervals_hold_the_mean():
    written = summary({"poor": evaluate_encoder(Table(POOR), task())}, ())
    low, high = written["intervals"]["poor"]["RR@10"]
    assert low <= written["systems"]["poor"]["RR@10"] <= high
    assert np.isfinite([low, high]).all()
