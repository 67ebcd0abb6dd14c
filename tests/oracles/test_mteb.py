"""Our tasks give what mteb gives on the same vectors, where both measure the same.

Similarity of texts, average precision of pairs and graded retrieval stand in ``tests/evaluation/test_mteb.py``.
Clusters cannot be compared: mteb draws texts with replacement and stops k-means early. Nor can thresholds of pairs:
mteb chooses them on the pairs that it judges.
"""

import numpy as np
import pytest

from nearfar.evaluation.mteb import run_mteb
from nearfar.evaluation.tasks.bitext import Bitext
from nearfar.evaluation.tasks.reranking import Reranking
from tests.evaluation.mteb_tasks import local_task, retrieval_split
from tests.evaluation.tasks.made import Given, random_vectors, setting


def test_lists_of_candidates():
    generator = np.random.default_rng(0)
    rows, judged, ranked = [], {}, {}
    documents = {f"d{i}": f"document {i}" for i in range(50)}
    for i in range(15):
        chosen = [f"d{row}" for row in generator.choice(50, 12, replace=False)]
        positives, negatives = chosen[: 1 + i % 4], chosen[1 + i % 4 :]
        rows.append(
            {
                "query": f"query {i}",
                "positives": [documents[name] for name in positives],
                "negatives": [documents[name] for name in negatives],
            }
        )
        judged[f"q{i}"] = dict.fromkeys(positives, 1) | dict.fromkeys(negatives, 0)
        ranked[f"q{i}"] = chosen
    queries = {f"q{i}": row["query"] for i, row in enumerate(rows)}
    encoder = Given(random_vectors(queries.values(), seed=1), random_vectors(documents.values(), seed=2))
    ours = Reranking(measures=("AP", "RR@10", "nDCG@10")).run(setting(rows, encoder))
    split = {**retrieval_split(queries, documents, judged), "top_ranked": ranked}
    theirs = run_mteb(local_task("Retrieval", {"test": split}), encoder, resamples=50).record["scores"]["test"][0]
    for name, other in (("AP", "map_at_1000"), ("RR@10", "mrr_at_10"), ("nDCG@10", "ndcg_at_10")):
        assert ours.value(name) == pytest.approx(theirs[other], abs=1e-5)  # it rounds to five digits


def test_translations():
    generator = np.random.default_rng(0)
    left = {f"left {i}": generator.normal(size=6) for i in range(30)}
    right = {f"right {i}": left[f"left {i}"] + generator.normal(size=6) for i in range(30)}
    encoder = Given(left | right)
    ours = Bitext(margin="none").run(
        setting([{"text1": one, "text2": other} for one, other in zip(left, right, strict=True)], encoder)
    )
    rows = [{"sentence1": one, "sentence2": other} for one, other in zip(left, right, strict=True)]
    result = run_mteb(local_task("BitextMining", {"de-en": {"test": rows}}), encoder, resamples=50)
    (theirs,) = result.record["scores"]["test"]
    assert 0.1 < ours.value("forward") < 0.95
    assert ours.value("forward") == theirs["accuracy"]
