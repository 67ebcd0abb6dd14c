import numpy as np

from nearfar.evaluation.extremes import item_examples, query_examples
from nearfar.evaluation.measures import PerQuery
from nearfar.evaluation.retrieve import Corpus, retrieve
from nearfar.evaluation.tasks.outcome import means_of, outcome
from tests.data.memory import make
from tests.evaluation.test_evaluate import DOCUMENTS, GOOD, JUDGED, QUERIES
from tests.evaluation.test_retrieve import Table

DATA = make(QUERIES, DOCUMENTS, {"test": JUDGED})
ROWS = np.array([0, 1, 2], dtype=np.int32)


def examples(values, seed=0):
    scores = PerQuery(query_rows=ROWS, measures=("RR@10", "R@10"), values=np.array([values, [1.0, 1.0, 1.0]]).T)
    found = retrieve(Table(GOOD), Corpus.of(DATA), ROWS, 4)
    return query_examples(DATA, "test", scores, found, seed=seed)


def test_queries_stand_from_the_lowest_on_and_at_both_ends_with_texts():
    shown = examples([0.5, 0.2, 1.0])
    assert shown["measures"] == ["RR@10", "R@10"]
    assert [one["id"] for one in shown["listed"]] == ["q1", "q0", "q2"]
    assert shown["listed"][0] == {"id": "q1", "text": "is two", "values": [0.2, 1.0]}
    assert [one["id"] for one in shown["worst"]] == ["q1", "q0"]
    assert [one["id"] for one in shown["best"]] == ["q2"]
    assert shown["worst"][0]["relevant"] == [{"id": "d1", "text": "two"}]
    assert shown["worst"][0]["found"][0]["relevant"]


def test_of_equal_queries_none_is_best_and_the_seed_draws():
    orders = {tuple(one["id"] for one in examples([0.5, 0.5, 0.5], seed)["listed"]) for seed in range(20)}
    assert len(orders) > 1
    assert examples([0.5, 0.5, 0.5])["best"] == []
    assert examples([0.5, 0.5, 0.5], 3) == examples([0.5, 0.5, 0.5], 3)


def items(columns, measures, names=("q0", "q1 d1", "run 3")):
    values = np.stack([columns[name] for name in measures], axis=1)
    made = outcome("Some()", "text", names, measures, means_of(values), columns, confidence=0.95, resamples=10, seed=0)
    return item_examples([made], DATA, "test")["tasks"][0]


def test_items_stand_from_the_lowest_measure_on_with_the_texts_that_they_have():
    shown = items({"accuracy": np.array([1.0, 0.5, 0.0])}, ["accuracy"])
    assert shown["by"] == "accuracy is lowest"
    assert [(one["id"], one["values"]) for one in shown["listed"]] == [
        ("run 3", [0.0]),
        ("q1 d1", [0.5]),
        ("q0", [1.0]),
    ]
    assert [one["texts"] for one in shown["listed"]] == [[], ["is two", "two"], [DATA.queries.text(0)]]


def test_beside_a_grade_items_stand_by_how_wrong_their_cosine_ranks_them():
    columns = {"cosine": np.array([0.9, 0.5, 0.6]), "grade": np.array([1.0, 2.0, 3.0])}
    shown = items(columns, ["cosine"])
    assert shown["listed"][0]["id"] == "q0"
    assert shown["by"] == "cosine and grade rank them most differently"
