import math

import numpy as np
import pytest

from nearfar.data.identity import text_keys
from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.multi_label import MultiLabel, propensities
from tests.evaluation.tasks.made import Given, random_vectors, setting


def records(train=40, test=15, labels=12, seed=0):
    generator = np.random.default_rng(seed)
    shares = 1 / np.arange(1, labels + 1)
    return [
        {
            "text": f"{split} {i}",
            "labels": [
                f"label {j}" for j in generator.choice(labels, 1 + i % 4, replace=False, p=shares / shares.sum())
            ],
            "split": split,
        }
        for split, count in (("train", train), ("test", test))
        for i in range(count)
    ]


def made(rows, **options):
    texts = [row["text"] for row in rows] + [label for row in rows for label in row["labels"]]
    vectors = random_vectors(texts)
    return setting(rows, Given(vectors), **options), vectors


def slow(rows, ranking, cutoff):
    """P@k and PSP@k by loops over the definitions."""
    train = [row for row in rows if row["split"] == "train"]
    c = (math.log(len(train)) - 1) * 2.5**0.55

    def worth(label):
        return 1 + c * (sum(label in row["labels"] for row in train) + 1.5) ** -0.55

    precision, gained, most = [], 0.0, 0.0
    for row in (row for row in rows if row["split"] == "test"):
        first = ranking(row["text"])[:cutoff]
        precision.append(sum(label in row["labels"] for label in first) / cutoff)
        gained += sum(worth(label) for label in first if label in row["labels"])
        most += sum(sorted((worth(label) for label in row["labels"]), reverse=True)[:cutoff])
    return np.mean(precision), gained / most


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def test_by_names_is_equal_to_loops():
    rows = records()
    on, vectors = made(rows)
    labels = list(dict.fromkeys(label for row in rows for label in row["labels"]))
    found = MultiLabel().run(on)
    for cutoff in (1, 3, 5):
        expected = slow(
            rows, lambda text: sorted(labels, key=lambda label: -cosine(vectors[text], vectors[label])), cutoff
        )
        assert (found.value(f"P@{cutoff}"), found.value(f"PSP@{cutoff}")) == pytest.approx(expected)
    assert found.scores[0].n == 15
    assert found.columns["P@3"].mean() == pytest.approx(found.value("P@3"))


def test_by_neighbours_is_equal_to_loops():
    rows = records()
    on, vectors = made(rows)
    train = [row for row in rows if row["split"] == "train"]
    found = MultiLabel(by="neighbours", neighbours=6).run(on)

    def ranking(text):
        near = sorted(train, key=lambda row: -cosine(vectors[text], vectors[row["text"]]))[:6]
        votes = {}
        for row in near:
            for label in row["labels"]:
                votes[label] = votes.get(label, 0) + math.exp(cosine(vectors[text], vectors[row["text"]]) / 0.07)
        return sorted(votes, key=lambda label: (-votes[label], text_keys([label]).tolist()))

    for cutoff in (1, 3, 5):
        expected = slow(rows, ranking, cutoff)
        assert (found.value(f"P@{cutoff}"), found.value(f"PSP@{cutoff}")) == pytest.approx(expected)


def test_propensities_by_hand():
    on, _ = made([{"text": f"t {i}", "labels": ["often"] + ["rare"] * (i == 0), "split": "train"} for i in range(100)])
    found = propensities(on.judged("train"), 2, 0.55, 1.5)
    c = (math.log(100) - 1) * 2.5**0.55
    assert found == pytest.approx([1 / (1 + c / 101.5**0.55), 1 / (1 + c / 2.5**0.55)])
    assert found[0] > found[1]


def test_right_labels_first_give_one():
    rows = [{"text": f"t {i}", "labels": [f"l {i}"]} for i in range(6)]
    vectors = {text: np.eye(6)[i] for i in range(6) for text in (f"t {i}", f"l {i}")}
    found = MultiLabel(cutoffs=(1, 5)).run(setting(rows, Given(vectors)))
    assert [score.value for score in found.scores] == pytest.approx([1, 0.2, 1, 1])


def test_what_is_refused():
    rows = [{"text": f"t {i}", "labels": ["a", "b"]} for i in range(6)]
    with pytest.raises(DataError, match="looks at 5 labels; records has 2"):
        MultiLabel().run(made(rows)[0])
    with pytest.raises(DataError, match=r"records has no train split. Use by=names"):
        MultiLabel(by="neighbours", cutoffs=(1,)).run(made(rows)[0])
    with pytest.raises(ConfigError, match="by must be names or neighbours, got 'label'"):
        MultiLabel(by="label")
