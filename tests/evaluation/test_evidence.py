import numpy as np
import pytest

from nearfar.evaluation.evidence import examples, score_pairs, space_map
from nearfar.evaluation.retrieve import Corpus, retrieve
from tests.data.memory import make
from tests.evaluation.test_evaluate import DOCUMENTS, GOOD, JUDGED, POOR, QUERIES
from tests.evaluation.test_retrieve import Table

DATA = make(QUERIES, DOCUMENTS, {"test": JUDGED})
QUERY_ROWS = np.array([0, 1, 2])


def arguments(vectors, dataset=DATA, queries=QUERY_ROWS, cosine=False):
    corpus = Corpus.of(dataset)
    found = retrieve(Table(vectors), corpus, queries, 4)
    return found, corpus, queries, dataset.positives("test"), cosine, 0


@pytest.mark.parametrize(("cosine", "score"), [(False, 0.5), (True, 0.5 / np.hypot(0.9, 0.5))])
def test_scores_of_pairs_by_hand(cosine, score):
    table = score_pairs(*arguments(POOR, cosine=cosine)).to_pylist()
    by_kind = {
        kind: [row["score"] for row in table if row["kind"] == kind] for kind in ("positive", "negative", "random")
    }
    assert by_kind["positive"] == pytest.approx([1.0, score, 1.0], abs=1e-6)
    assert by_kind["negative"] == pytest.approx([0.0, 0.9, 0.0], abs=1e-6)  # as the search scored them
    assert len(by_kind["random"]) == 3


def test_examples_are_those_that_changed():
    before, after = (retrieve(Table(vectors), Corpus.of(DATA), QUERY_ROWS, 4) for vectors in (POOR, GOOD))
    scores = {"base": np.array([1.0, 0.5, 1.0]), "tuned": np.array([1.0, 1.0, 0.0])}
    shown = examples(DATA, "test", QUERY_ROWS, "RR@10", scores, {"base": before, "tuned": after})
    assert [item["query_id"] for item in shown["won"]] == ["q1"]
    assert [item["query_id"] for item in shown["lost"]] == ["q2"]
    won = shown["won"][0]
    assert (won["query"], won["before"], won["after"]) == ("is two", 0.5, 1.0)
    assert won["relevant"] == [{"id": "d1", "text": "two"}]
    assert [(it["id"], it["relevant"]) for it in won["base"][:2]] == [("d0", False), ("d1", True)]
    assert (won["tuned"][0]["id"], won["tuned"][0]["relevant"], len(won["tuned"])) == ("d1", True, 3)


def many(count=40):
    generator = np.random.default_rng(0)
    documents, queries = ([f"{side} {place}" for place in range(count)] for side in ("document", "query"))
    vectors = {text: generator.normal(size=5).tolist() for text in documents + queries}
    dataset = make(queries, documents, {"test": [(place, place, 1) for place in range(count // 2)]})
    return vectors, dataset, np.arange(count // 2)


@pytest.mark.parametrize("vectors_and_data", [many(), (GOOD, DATA, QUERY_ROWS)], ids=["many", "few"])
def test_the_map_joins_queries_with_their_documents(vectors_and_data):
    vectors, dataset, queries = vectors_and_data
    one, again = (space_map(*arguments(vectors, dataset, queries)) for _ in range(2))
    assert one.equals(again)
    rows = one.to_pylist()
    count = len(queries)
    assert [row["kind"] for row in rows] == ["query"] * count + ["document"] * len(dataset.documents)
    assert [row["pair"] for row in rows] == [*range(count), *range(count), *[-1] * (len(dataset.documents) - count)]
    assert all(np.isfinite([row["x"], row["y"]]).all() for row in rows)
    for place in range(count):
        assert (rows[place]["id"], rows[count + place]["id"]) == (f"q{place}", f"d{place}")
