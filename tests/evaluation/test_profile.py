import json
from dataclasses import replace

import numpy as np
import pytest

from nearfar.config.run import EvaluationOptions
from nearfar.errors import DataError
from nearfar.evaluation import profile
from nearfar.evaluation.evaluate import Task, evaluate_bm25, evaluate_cut, evaluate_encoder, write_results
from nearfar.evaluation.retrieve import Corpus, retrieve
from nearfar.evaluation.scored import Known, score_split
from nearfar.statistics.paired import compare
from tests.data.memory import make
from tests.evaluation.test_evaluate import DOCUMENTS, GOOD, JUDGED, POOR, QUERIES
from tests.evaluation.test_retrieve import Table

OPTIONS = EvaluationOptions(measures=("RR@10",), depth=30, resamples=100)


def many(count=160, noise=0.8, dev=True, width=24):
    """Queries near their documents; the first half is dev, the second test. Every third has a second document."""
    generator = np.random.default_rng(0)
    documents, queries = ([f"{side} {place}" for place in range(count)] for side in ("document", "query"))
    at = generator.normal(size=(count, width))
    vectors = dict(zip(documents, at, strict=True))
    vectors |= dict(zip(queries, at + noise * generator.normal(size=at.shape), strict=True))
    judged = [
        (place, other, 1) for place in range(count) for other in {place, place + (place % 3 == 0)} if other < count
    ]
    half = count // 2
    splits = {"dev": [row for row in judged if row[0] < half], "test": [row for row in judged if row[0] >= half]}
    return vectors, make(queries, documents, splits if dev else {"test": splits["test"]})


class Cosine(Table):
    similarity = "cosine"


def written(folder, vectors, dataset, **changes):
    task = Task.of(dataset, None, OPTIONS.model_copy(update=changes))
    measured = evaluate_encoder(Cosine(vectors), task, calibrate=True)
    write_results(folder, {"one": measured, "bm25": evaluate_bm25(task)}, ())
    read = [json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("calibration", "geometry")]
    return measured, read[0]["systems"]["one"], read[1]["systems"]["one"]


def test_scores_of_known_pairs_by_hand():
    dataset = make(QUERIES, DOCUMENTS, {"test": JUDGED})
    queries = np.array([0, 1, 2])
    found = retrieve(Table(POOR), Corpus.of(dataset), queries, 2)
    scored = score_split(found, Corpus.of(dataset), queries, dataset.positives("test"), "test", 0)
    assert scored.relevant_scores.tolist() == [1.0, 0.5, 1.0]
    assert scored.totals.tolist() == [1, 1, 1]
    assert scored.hit_rank.tolist() == [0, 1] * 3
    assert scored.hit_relevant[:4].tolist() == [True, False, False, True]
    assert np.bincount(scored.random_query).tolist() == [3, 3, 3]
    assert scored.random_scores[scored.random_query == 1].max() == pytest.approx(0.9, abs=1e-6)
    kept = scored.only(np.array([2, 1]), "part")
    assert (kept.relevant_scores.tolist(), kept.relevant_query.tolist()) == ([0.5, 1.0], [1, 0])
    assert (len(kept), len(kept.hit_scores), kept.split) == (2, 4, "part")


def test_labelled_data_has_many_relevant_documents_and_not_the_query_itself():
    texts = [f"text {place}" for place in range(90)]
    dataset = replace(
        make(texts, texts, {"test": [(0, 0, 1), (1, 1, 1), (80, 2, 1)]}),
        nodes=np.repeat(np.arange(3), [50, 30, 10]).astype(np.int32),
        labels=("a", "b", "c"),
    )
    queries, corpus = np.array([0, 1, 80]), Corpus.of(dataset)
    known = Known(corpus, queries, dataset.positives("test"))
    own = corpus.own_text(queries)
    # The texts of queries 0 and 80 carry the label that they are judged by, that of query 1 another one.
    assert known.totals(own).tolist() == [49, 30, 9]
    anchors, places = known.documents(own)
    assert np.bincount(anchors).tolist() == [19, 20, 9]  # one of the spread of twenty is the text itself
    assert (dataset.nodes[places] == np.array([0, 1, 2])[anchors]).all()
    assert len(np.unique(np.stack([anchors, places]), axis=1).T) == len(anchors)
    vectors = {text: np.eye(3)[node] for text, node in zip(texts, dataset.nodes, strict=True)}
    measured = evaluate_encoder(Table(vectors), Task.of(dataset, None, OPTIONS))
    assert measured.found.similarity == "dot"


def test_what_is_written_for_an_encoder(tmp_path):
    vectors, dataset = many()
    measured, calibration, geometry = written(tmp_path, vectors, dataset)
    assert measured.task.held.tolist() == list(range(80))
    assert (calibration["split"], calibration["queries"], calibration["notes"]) == ("test", 80, [])
    assert calibration["random"]["within"]["value"] > calibration["hits"]["within"]["value"] > 0.6
    probability = calibration["probability"]
    assert (probability["fitted_on"], probability["fitted_queries"], probability["queries"]) == ("dev", 80, 80)
    assert probability["slope"] > 0
    assert 0 < probability["equal_mass"]["error"] < 0.1
    assert sum(probability["equal_width"]["pairs"]) == 80 * 10
    assert [one["wanted"] for one in calibration["precision"]] == [0.5, 0.8, 0.9, 0.95]
    assert calibration["precision"][0]["reached"] > 0.5
    for one in calibration["recall"]:
        assert one["threshold"] is None or one["reached"] > one["wanted"] - 0.1
    assert geometry["queries"]["vectors"] == 80
    assert geometry["documents"]["vectors"] == 160
    assert geometry["alarms"] == []
    assert geometry["tolerance"] is None
    assert 0 < geometry["alignment"] < 2
    assert 0 < geometry["hubs"]["most_share"] <= 1


def test_the_same_twice_and_no_file_for_bm25(tmp_path):
    vectors, dataset = many(60)
    for name in ("once", "again"):
        written(tmp_path / name, vectors, dataset)
    for name in ("calibration.json", "geometry.json"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    task = Task.of(dataset, None, OPTIONS)
    write_results(tmp_path / "words", {"bm25": evaluate_bm25(task)}, ())
    assert not (tmp_path / "words" / "geometry.json").exists()


def test_without_dev_half_of_the_queries_is_fitted_on(tmp_path):
    _, calibration, _ = written(tmp_path, *many(dev=False))
    probability = calibration["probability"]
    assert (probability["fitted_on"], probability["fitted_queries"], probability["queries"]) == ("half of test", 40, 40)


def test_a_collapsed_encoder_is_chance_and_raises_alarms(tmp_path):
    vectors, dataset = many(240)
    same = dict.fromkeys(vectors, np.random.default_rng(0).normal(size=24))
    _, calibration, geometry = written(tmp_path, same, dataset)
    assert calibration["random"]["pooled"]["value"] == 0.5
    assert calibration["hits"]["within"]["value"] == 0.5
    assert calibration["probability"]["slope"] == 0
    assert all(one["threshold"] is None for one in calibration["precision"])
    assert {alarm["name"] for alarm in geometry["alarms"]} == {"anisotropy", "uniformity", "alike", "effective_rank"}
    assert {alarm["side"] for alarm in geometry["alarms"]} == {"queries", "documents"}
    assert geometry["length_bias"] is None


@pytest.mark.parametrize("judged", [JUDGED[:1], JUDGED[:3]], ids=["one query", "three"])
def test_few_queries_leave_a_note(tmp_path, judged):
    _, calibration, geometry = written(tmp_path, GOOD, make(QUERIES, DOCUMENTS, {"test": judged}))
    assert calibration["probability"] is None
    assert calibration["precision"] == []
    assert "need 20 queries to be found on and 20 others" in calibration["notes"][0]
    assert calibration["hits"]["pooled"]["value"] == 1.0
    assert (geometry["queries"] is None) == (len(judged) == 1)
    assert geometry["separator"] is None


def test_all_relevant_leaves_a_note(tmp_path):
    everything = [(query, document, 1) for query in range(3) for document in range(4)]
    _, calibration, _ = written(tmp_path, GOOD, make(QUERIES, DOCUMENTS, {"test": everything}))
    assert (calibration["hits"], calibration["random"]) == (None, None)
    assert calibration["notes"][0].startswith("No query has a relevant document and a wrong document among its hits")


def test_cut_vectors_are_profiled_too(tmp_path):
    vectors, dataset = many(60)
    whole = evaluate_encoder(Cosine(vectors), Task.of(dataset, None, OPTIONS), calibrate=True)
    cut = evaluate_cut(whole, 4, "cosine")
    assert cut.held is not None
    assert cut.held.queries.shape == (30, 4)
    write_results(tmp_path, {"whole": whole, "whole@4": cut}, ())
    geometry = json.loads((tmp_path / "geometry.json").read_text(encoding="utf-8"))
    assert geometry["systems"]["whole@4"]["documents"]["width"] == 4
    assert compare(whole.values("RR@10"), cut.values("RR@10"), seed=0).mean > 0


def test_of_very_many_queries_a_sample_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(profile, "QUERIES", 50)
    _, calibration, geometry = written(tmp_path, *many())
    assert calibration["queries"] == 50
    assert calibration["hits"]["queries"] == 50
    assert geometry["queries"]["vectors"] == 80


def test_nan_is_refused_in_words():
    vectors, dataset = many(60)
    found = evaluate_encoder(Cosine(vectors), Task.of(dataset, None, OPTIONS)).found
    broken = found.queries.copy()
    broken[3] = np.nan
    with pytest.raises(DataError, match="1 of 30 query vectors hold NaN or infinity, rows 3"):
        score_split(
            replace(found, queries=broken), Corpus.of(dataset), np.arange(30, 60), dataset.positives("test"), "test", 0
        )
