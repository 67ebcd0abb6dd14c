import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.reranking import Reranking
from tests.evaluation.tasks.made import Given, random_vectors, setting


def records(count=30):
    return [
        {
            "query": f"q {i}",
            "positives": [f"p {i} {j}" for j in range(1 + i % 2)],
            "negatives": [f"n {i} {j}" for j in range(3 + i % 3)],
        }
        for i in range(count)
    ]


def texts(rows):
    return [text for row in rows for text in (row["query"], *row["positives"], *row["negatives"])]


def test_equal_to_sentence_transformers():
    from sentence_transformers.sentence_transformer.evaluation import RerankingEvaluator

    rows = records()
    encoder = Given(random_vectors(texts(rows)))
    samples = [{"query": row["query"], "positive": row["positives"], "negative": row["negatives"]} for row in rows]
    theirs = RerankingEvaluator(samples, at_k=10, write_csv=False, use_batched_encoding=False)

    class Model:
        def encode(self, texts, **options):
            return encoder.encode_queries([texts] if isinstance(texts, str) else texts)

        def similarity(self, left, right):
            left, right = np.asarray(left), np.asarray(right)
            import torch

            unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right)]
            return torch.tensor(unit[0] @ unit[1].T)

    theirs.embed_inputs = lambda model, texts, **options: encoder.encode_queries(
        [texts] if isinstance(texts, str) else texts
    )
    expected = theirs.compute_metrices(Model())
    found = Reranking().run(setting(rows, encoder))
    assert found.value("AP") == pytest.approx(expected["map"])
    assert found.value("RR@10") == pytest.approx(expected["mrr"])
    assert found.value("nDCG@10") == pytest.approx(expected["ndcg"])
    assert found.scores[0].n == 30


def test_a_list_by_hand():
    rows = [{"query": "q", "positives": ["a", "b"], "negatives": ["c"]}, {"query": "r", "positives": ["a"]}]
    vectors = {"q": [1, 0], "r": [0, 1], "a": [3, 1], "b": [1, 0], "c": [2, 0]}
    encoder = Given({text: np.array(vector, float) for text, vector in vectors.items()}, similarity="dot")
    found = Reranking(measures=("AP", "Success@1")).run(setting(rows, encoder))
    assert found.value("AP") == pytest.approx((1 + 2 / 3) / 2)
    assert found.value("Success@1") == 1
    assert found.items == ("q0",)
    assert found.notes == ("1 queries were left out: none of their candidates is irrelevant.",)


def test_what_is_refused():
    rows = [{"query": "a", "positive": "b"}, {"query": "c", "positive": "d"}]
    with pytest.raises(DataError, match="no query of all in records has both kinds"):
        Reranking().run(setting(rows, Given(random_vectors("abcd"))))
    with pytest.raises(ConfigError, match=r"There is no measure 'nDGC@10'. Did you mean"):
        Reranking(measures=("nDGC@10",)).run(setting(records(3), Given(random_vectors(texts(records(3))))))
