import numpy as np
import pytest

from nearfar.errors import DataError
from nearfar.evaluation.tasks.triplets import Triplets
from tests.evaluation.tasks.made import Given, random_vectors, setting


def records(count=40):
    return [{"anchor": f"a {i}", "positive": f"p {i}", "negative": f"n {i}"} for i in range(count)]


def test_equal_to_a_loop_over_triplets():
    rows = records()
    vectors = random_vectors([text for row in rows for text in row.values()])
    found = Triplets().run(setting(rows, Given(vectors)))

    def cosine(one, other):
        one, other = vectors[one], vectors[other]
        return one @ other / np.linalg.norm(one) / np.linalg.norm(other)

    margins = [cosine(r["anchor"], r["positive"]) - cosine(r["anchor"], r["negative"]) for r in rows]
    assert found.value("accuracy") == pytest.approx(np.mean([margin > 0 for margin in margins]))
    assert found.value("margin") == pytest.approx(np.mean(margins), abs=1e-6)
    assert (found.unit, found.scores[0].n, found.notes) == ("anchor", 40, ())


def test_equal_to_sentence_transformers():
    from sentence_transformers.sentence_transformer.evaluation import TripletEvaluator

    rows = records()
    encoder = Given(random_vectors([text for row in rows for text in row.values()]))
    theirs = TripletEvaluator(
        *([row[side] for row in rows] for side in ("anchor", "positive", "negative")), write_csv=False
    )

    class Model:
        similarity_fn_name = "cosine"

    theirs.embed_inputs = lambda model, texts, **options: encoder.encode_queries(texts)
    theirs.store_metrics_in_model_card_data = lambda *everything, **options: None
    assert Triplets().run(setting(rows, encoder)).value("accuracy") == pytest.approx(theirs(Model())["cosine_accuracy"])


def test_a_tie_is_an_error_and_every_negative_counts():
    rows = [
        {"anchor": "a", "positive": "p", "negatives": ["n", "m", "o"]},
        {"anchor": "b", "positive": "q", "negatives": ["n"]},
    ]
    queries = {"a": [1, 0], "b": [0, 1]}
    documents = {"p": [2, 0], "n": [1, 0], "m": [2, 1], "o": [3, 0], "q": [0, 5]}
    arrays = [{text: np.array(vector, float) for text, vector in side.items()} for side in (queries, documents)]
    found = Triplets().run(setting(rows, Given(*arrays, similarity="dot")))
    assert found.value("accuracy") == pytest.approx(2 / 4)  # n and the n of b; m ties, o is nearer
    assert found.notes == ("4 triplets of 2 anchors.",)
    assert found.columns["right"].tolist() == [1, 1]


def test_data_without_negatives_is_refused():
    rows = [{"query": "a", "positive": "b"}, {"query": "c", "positive": "d"}]
    with pytest.raises(DataError, match=r"no query of all in records has one. Add a column named negative"):
        Triplets().run(setting(rows, Given(random_vectors("abcd"))))
