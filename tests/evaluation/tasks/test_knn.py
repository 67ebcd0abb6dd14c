import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.knn import KNN
from tests.evaluation.tasks.made import Given, labelled_records, setting


def test_equal_to_scikit_learn():
    records, vectors = labelled_records({"train": 20, "test": 10})
    found = KNN(neighbours=(1, 5, 20)).run(setting(records, Given(vectors)))
    sides = {
        split: (np.stack([vectors[r["text"]] for r in records if r["split"] == split]),
                [r["label"] for r in records if r["split"] == split])
        for split in ("train", "test")
    }  # fmt: skip
    for count in (1, 5, 20):
        theirs = KNeighborsClassifier(count, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07))
        expected = theirs.fit(*sides["train"]).score(*sides["test"])
        assert found.value(f"accuracy@{count}") == pytest.approx(expected)
    assert 0.3 < found.value("accuracy@5") < 1
    assert found.scores[0].n == 60
    assert found.columns["accuracy@1"].mean() == found.value("accuracy@1")


def test_a_text_has_no_vote_on_itself():
    rows = [{"text": f"{label} {i}", "label": label} for label in "ab" for i in range(3)]
    vectors = {row["text"]: np.eye(6)[place] for place, row in enumerate(rows)}
    vectors["a 0"], vectors["a 1"], vectors["b 0"] = (np.array([1.0, x, 0, 0, 0, 0]) for x in (0, 0.5, 0.1))
    found = KNN(neighbours=(1,)).run(setting(rows, Given(vectors)))
    right = dict(zip(found.items, found.columns["accuracy@1"], strict=True))
    assert right["t0"] == 0  # nearest is b 0, itself aside
    assert right["t1"] == 0


def test_few_neighbours_are_all_that_there_are():
    records, vectors = labelled_records({"train": 2, "test": 3})
    found = KNN(neighbours=(12, 50)).run(setting(records, Given(vectors)))
    assert found.value("accuracy@12") == found.value("accuracy@50")


def test_what_is_refused():
    rows = [{"text": f"t {i}", "label": "one"} for i in range(4)]
    with pytest.raises(DataError, match="All 4 texts of all in records have one label, 'one'"):
        KNN().run(setting(rows, Given({})))
    with pytest.raises(ConfigError, match="KNN: neighbours must be a list of whole numbers from 1"):
        KNN(neighbours=(0,))
    with pytest.raises(ConfigError, match="temperature must be a number above 0"):
        KNN(temperature=0.0)
