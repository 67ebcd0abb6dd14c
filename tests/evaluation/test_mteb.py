"""Tasks of mteb on our encoders: its scores are those of our own tasks on the same data."""

import json

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch
from mteb.mocks import mock_tasks

from nearfar import ConfigError, DataError, ResourceError, api
from nearfar.evaluation.mteb import run_mteb, task_named
from nearfar.evaluation.tasks.outcome import changes
from nearfar.evaluation.tasks.pair_classification import PairClassification
from nearfar.evaluation.tasks.sts import STS
from tests import runs
from tests.evaluation.mteb_tasks import local_task, retrieval_split
from tests.evaluation.tasks.made import Given, labelled_records, random_vectors, setting

RNG = np.random.default_rng(0)
PAIRS = [
    {"sentence1": f"a {i}", "sentence2": f"b {i}", "score": float(grade)}
    for i, grade in enumerate(RNG.integers(0, 6, size=40))
]


def given(rows, seed=0, **options):
    return Given(random_vectors([str(each) for row in rows for each in row.values()], seed=seed), **options)


class Hashed:
    """A vector for any text."""

    similarity = "cosine"

    def encode_queries(self, texts, sink=None):
        return np.stack([np.random.default_rng(list(text.encode())).normal(size=8) for text in texts]).astype("f4")

    encode_documents = encode_queries


def run(task, encoder, **options):
    return run_mteb(task, encoder, resamples=300, **options)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever asks a hub, or anyone else, fails."""

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)


def test_similarity_of_texts_as_in_our_own_task():
    encoder = given(PAIRS)
    ours = STS().run(setting(PAIRS, encoder, resamples=300))
    found = run(local_task("STS", {"test": PAIRS}), encoder).outcome
    (score,) = found.scores
    assert (score.measure, score.n, found.unit, found.task) == ("cosine_spearman", 40, "pair", "mteb:LocalSTS")
    assert score.value == pytest.approx(ours.value("Spearman"), abs=1e-6)
    assert (score.low, score.high) == pytest.approx((ours.scores[0].low, ours.scores[0].high), abs=1e-6)
    assert found.columns["cosine"] == pytest.approx(ours.columns["cosine"], abs=1e-6)


def test_pairs_with_labels_as_in_our_own_task():
    rows = [{**row, "labels": int(row.pop("score") > 2)} for row in ({**each} for each in PAIRS)]
    encoder = given(rows)
    own = [{"sentence1": row["sentence1"], "sentence2": row["sentence2"], "label": row["labels"]} for row in rows]
    result = run(local_task("PairClassification", {"test": rows}), encoder)
    scores = result.record["scores"]["test"][0]
    assert scores["cosine_ap"] == pytest.approx(PairClassification().run(setting(own, encoder)).value("AP"), abs=1e-6)
    assert result.outcome.value("max_ap") == pytest.approx(scores["max_ap"], abs=1e-9)
    assert result.outcome.unit == "pair"


def searched(seed=1):
    """Graded judgements, more documents than a ranking shows, and other vectors for a text as a document."""
    generator = np.random.default_rng(seed)
    queries = {f"q{i}": f"query {i}" for i in range(12)}
    documents = {f"d{i}": f"document {i}" for i in range(60)}
    judged = {
        query: {f"d{row}": int(generator.integers(1, 4)) for row in generator.choice(60, 5, replace=False)}
        for query in queries
    }
    encoder = Given(random_vectors(queries.values(), seed=2), random_vectors(documents.values(), seed=3))
    return queries, documents, judged, encoder


def test_graded_retrieval_as_in_our_own_evaluation(tmp_path):
    queries, documents, judged, encoder = searched()
    (tmp_path / "qrels").mkdir()
    for name, texts in (("queries", queries), ("corpus", documents)):
        lines = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    lines = [f"{query}\t{document}\t{grade}" for query, found in judged.items() for document, grade in found.items()]
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines))
    ours = api.evaluate(encoder, tmp_path, settings=["evaluation.measures=['nDCG@10','R@100']"]).scores

    task = local_task("Retrieval", {"test": retrieval_split(queries, documents, judged)})
    result = run(task, encoder)
    assert result.outcome.value("ndcg_at_10") == pytest.approx(ours["systems"]["Given"]["nDCG@10"], abs=1e-9)
    assert result.record["scores"]["test"][0]["recall_at_100"] == ours["systems"]["Given"]["R@100"] == 1
    assert (result.outcome.unit, set(result.outcome.items)) == ("query", set(queries))
    assert "task_specific_scores" not in vars(task)  # as it was

    other = Given(random_vectors(queries.values(), seed=5), encoder.document_vectors)
    (change,) = changes(run(task, other).outcome, result.outcome)
    assert change.p is not None  # paired over queries


def test_classes_and_clusters_have_items_too():
    records, vectors = labelled_records({"train": 12, "test": 10})
    by_split = {split: [row for row in records if row["split"] == split] for split in ("train", "test")}
    result = run(local_task("Classification", by_split, n_experiments=3, samples_per_label=4), Given(vectors))
    assert (result.outcome.unit, len(result.outcome.items)) == ("text", 60)
    assert result.outcome.value("accuracy") == pytest.approx(result.record["scores"]["test"][0]["accuracy"], abs=1e-9)

    rows = [{"sentences": row["text"], "labels": row["label"]} for row in by_split["test"]]
    attributes = {"n_clusters": 4, "max_fraction_of_documents_to_embed": None, "max_documents_per_cluster": 60}
    result = run(local_task("Clustering", {"test": rows}, **attributes), Given(vectors))
    assert (result.outcome.unit, result.outcome.scores[0].n) == ("run", 4)
    assert result.outcome.value("v_measure") == pytest.approx(result.record["scores"]["test"][0]["v_measure"])


def test_subsets_weigh_the_same_and_are_shown(tmp_path):
    subsets = {"one": {"test": PAIRS[:10]}, "two": {"test": PAIRS[10:]}}
    result = run(local_task("STS", subsets), given(PAIRS))
    values = {score.measure: score.value for score in result.outcome.scores}
    assert list(values) == ["cosine_spearman", "cosine_spearman test one", "cosine_spearman test two"]
    mean = (values["cosine_spearman test one"] + values["cosine_spearman test two"]) / 2
    assert values["cosine_spearman"] == pytest.approx(mean)
    assert result.outcome.items[10] == "test two 0"


def test_without_values_of_items_the_interval_is_over_subsets():
    rows = {name: {"test": PAIRS[start : start + 15]} for name, start in (("de-en", 0), ("fr-en", 15))}
    result = run(local_task("BitextMining", rows), given(PAIRS))
    assert (result.outcome.unit, result.outcome.items) == ("subset", ("test de-en", "test fr-en"))
    assert result.outcome.notes == (
        "mteb gives no values of single items here: the interval is over its splits and subsets.",
    )


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        ("MockMultilabelClassification", "run"),
        ("MockRegressionTask", "run"),
        ("MockPairClassificationTask", "pair"),
        ("MockMultilingualRerankingTask", "query"),
        ("MockRetrievalDialogTask", "query"),
        ("MockSummarizationTask", "subset"),
        ("MockTextZeroShotClassificationTask", "subset"),
        ("MockMultilingualParallelBitextMiningTask", "subset"),
    ],
)
def test_every_kind_of_text_task(kind, unit, capsys):
    result = run(getattr(mock_tasks, kind)(), Hashed())
    mains = [scores["main_score"] for found in result.record["scores"].values() for scores in found]
    assert result.outcome.unit == unit
    assert result.outcome.scores[0].value == pytest.approx(np.mean(mains), abs=1e-4)
    assert capsys.readouterr().err == ""


def test_the_random_numbers_of_the_process_are_left_alone():
    task = local_task("STS", {"test": PAIRS})
    np.random.seed(5)
    expected = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    run(task, given(PAIRS))
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == expected


def test_from_the_same_function_as_other_data(tmp_path):
    task = local_task("STS", {"dev": PAIRS[:20], "test": PAIRS[20:]})
    result = api.evaluate(given(PAIRS), task, split="test", out=tmp_path / "out", settings=["evaluation.resamples=200"])
    (row,) = result.scores["results"]
    assert (row["system"], row["task"], row["n"]) == ("Given", "mteb:LocalSTS", 20)
    assert result.scores["kind"] == f"task of mteb {result.scores['mteb'][0]['mteb_version']}"
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == result.scores
    assert set(parquet.read_table(tmp_path / "out" / "per_item.parquet")["column"].to_pylist()) == {"cosine", "grade"}
    assert list(task.eval_splits) == ["dev", "test"]


def test_what_cannot_be_measured_is_refused(capsys, monkeypatch, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"query": "a", "positive": "b"}))
    message = runs.refused(capsys, "evaluate", "static:none", "mteb:STSBenchmrk")
    assert "has no task 'STSBenchmrk'. Did you mean: 'STSBenchmark'?" in message
    assert "bm25 has no vectors" in runs.refused(capsys, "evaluate", "bm25", "mteb:STSBenchmark")
    assert "mteb:STSBenchmark" in runs.refused(capsys, "evaluate", "bm25", file, "--task", "mteb:STSBenchmark")
    with pytest.raises(ConfigError, match="is a task itself"):
        api.evaluate(given(PAIRS), "mteb:STSBenchmark", task="STS")
    with pytest.raises(ConfigError, match=r"evaluation\.truncate"):
        api.evaluate(given(PAIRS), "mteb:STSBenchmark", settings=["evaluation.truncate=4"])
    with pytest.raises(ConfigError, match="no split 'tset'; mteb measures test"):
        run("mteb:STSBenchmark", given(PAIRS), split="tset")
    with pytest.raises(ConfigError, match="is about image; only tasks about texts"):
        run(task_named("CIFAR10ZeroShot"), given(PAIRS))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("nearfar.evaluation.mteb.reachable", lambda *_: False)
    with pytest.raises(ResourceError, match="on a hub, and that at"):
        run("mteb:STSBenchmark", given(PAIRS))
    flat = Given({text: np.ones(4) for row in PAIRS for text in (row["sentence1"], row["sentence2"])})
    with pytest.raises(DataError, match="no number"):
        run(local_task("STS", {"test": PAIRS}), flat)
