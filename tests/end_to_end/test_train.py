"""From pairs to a tuned model and its evidence, through the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from pyarrow import parquet

from nearfar.encoders.fingerprint import encoder_hash
from tests import runs
from tests.data.folders import write_beir_by_hand

FILES = {
    "config.yaml",
    "run.json",
    "data.json",
    "training.jsonl",
    "report.html",
    "model/modules.json",
    "model/README.md",
    *(f"evaluation/{name}" for name in ("scores.json", "per_query.parquet", "examples.json", "map.parquet")),
    *(f"evaluation/{name}" for name in ("score_pairs.parquet", "bm25.trec.gz", "base.trec.gz", "tuned.trec.gz")),
    *(f"evaluation/{name}" for name in ("calibration.json", "geometry.json")),
}


def test_folder_is_complete(finished):
    assert set(runs.contents(finished)) >= FILES
    assert not [name for name in runs.contents(finished) if ".partial" in name or ".old" in name]


def test_record_says_what_was_run(finished, pairs, tokenizer):
    record = runs.record(finished)
    assert record["state"] == "finished"
    assert (record["data"], record["model"]) == (str(pairs), runs.static(tokenizer))
    assert (record["train_pairs"], record["steps"], record["trained_steps"]) == (240, 32, 32)
    assert record["best_step"] in (8, 16, 24, 32)
    assert set(record["seconds"]) == {"evaluate", "train", "report", "total"}


def test_training_helps_and_the_evidence_says_so(finished):
    scores = runs.scores(finished)
    assert scores["systems"]["tuned"]["nDCG@10"] > 0.5 > 0.2 > scores["systems"]["base"]["nDCG@10"]
    first = scores["comparisons"][0]
    assert (first["treatment"], first["control"], first["measure"]) == ("tuned", "base", "nDCG@10")
    assert 0 < first["low"] < first["mean"] < first["high"]
    assert (scores["split"], scores["queries"], scores["documents"]) == ("test", 30, 300)


def test_per_query_values_have_the_reported_means(finished):
    table = parquet.read_table(finished / "evaluation" / "per_query.parquet").to_pylist()
    for system, means in runs.scores(finished)["systems"].items():
        for measure, mean in means.items():
            values = [row["value"] for row in table if (row["system"], row["measure"]) == (system, measure)]
            assert len(values) == 30
            assert np.mean(values) == pytest.approx(mean, abs=1e-12)


def test_curve_has_every_dev_search_once(finished):
    assert [entry["step"] for entry in runs.curve(finished) if entry["group"] == "dev"] == [0, 8, 16, 24, 32]
    train = [entry for entry in runs.curve(finished) if entry["group"] == "train"]
    assert [entry["step"] for entry in train] == list(range(1, 33))
    assert train[-1]["loss"] < train[0]["loss"]


@pytest.mark.slow
def test_model_opens_without_nearfar_and_gives_the_same_vectors(finished):
    code = (
        "import sys, json\n"
        "from sentence_transformers import SentenceTransformer\n"
        f"model = SentenceTransformer({str(finished / 'model')!r})\n"
        "vectors = model.encode_query(['how to borak', 'of calim dusot']).tolist()\n"
        "print(json.dumps([vectors, 'nearfar' in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    vectors, imported = json.loads(done.stdout)
    from nearfar import load_model

    ours = load_model(str(finished / "model")).encode_queries(["how to borak", "of calim dusot"])
    assert not imported
    np.testing.assert_allclose(np.array(vectors, dtype=np.float32), ours, atol=1e-6)


def test_the_same_run_again_is_identical(finished, pairs, tokenizer, tmp_path):
    again = tmp_path / "again"
    assert runs.nearfar("train", pairs, "--model", runs.static(tokenizer), "--out", again, *runs.SETTINGS) == 0
    assert runs.record(again)["tuned_hash"] == runs.record(finished)["tuned_hash"]
    assert runs.scores(again) == runs.scores(finished)
    ours, theirs = runs.contents(again), runs.contents(finished)
    names = ("per_query.parquet", "tuned.trec.gz", "score_pairs.parquet", "map.parquet", "examples.json")
    for name in (*names, "calibration.json", "geometry.json"):
        assert ours[f"evaluation/{name}"] == theirs[f"evaluation/{name}"]
    from nearfar import load_model

    assert encoder_hash(load_model(str(again / "model"))) == runs.record(again)["tuned_hash"]


def train(data, tokenizer, out, *settings):
    given = [part for setting in settings for part in ("--set", setting)]
    code = runs.nearfar("train", data, "--model", runs.static(tokenizer), "--out", out, *runs.SETTINGS, *given)
    assert code == 0
    scores = runs.scores(out)["systems"]
    return scores["base"]["nDCG@10"], scores["tuned"]["nDCG@10"]


def test_labelled_data(tokenizer, tmp_path):
    rows = [
        {"text": f"{runs.ASK[label]} {runs.SAY[other]} {runs.SAY[(other * label + 1) % 15]}", "label": f"l{label}"}
        for label in range(8)
        for other in range(15)
    ]
    base, tuned = train(
        runs.write_lines(tmp_path / "labels.jsonl", rows), tokenizer, tmp_path / "run", "data.test=0.2", "data.dev=0.2"
    )
    assert tuned > base
    assert runs.nearfar("evaluate", tmp_path / "run", tmp_path / "labels.jsonl") == 0


def test_triplets_with_hard_negatives(tokenizer, tmp_path):
    known = list(runs.sentences())
    rows = [
        {"query": query, "positive": document, "negative": known[(place * 7 + 1) % len(known)][1]}
        for place, (query, document) in enumerate(known)
    ]
    base, tuned = train(runs.write_lines(tmp_path / "triplets.jsonl", rows), tokenizer, tmp_path / "run")
    assert tuned > base + 0.3


def test_search_collection_with_further_training_pairs(tokenizer, tmp_path):
    known = list(runs.sentences())
    searched, training = known[:80], known[80:]
    folder = write_beir_by_hand(
        tmp_path / "beir",
        {f"d{place}": document for place, (_, document) in enumerate(searched)},
        {f"q{place}": query for place, (query, _) in enumerate(searched)},
        dev=[(f"q{place}", f"d{place}", 1) for place in range(40)],
        test=[(f"q{place}", f"d{place}", 1) for place in range(40, 80)],
    )
    runs.write_lines(folder / "train.jsonl", [{"query": query, "positive": document} for query, document in training])
    base, tuned = train(folder, tokenizer, tmp_path / "run", "data.train=train.jsonl")
    assert tuned > base + 0.3
    scores = runs.scores(tmp_path / "run")
    assert (scores["queries"], scores["documents"]) == (40, 80)
