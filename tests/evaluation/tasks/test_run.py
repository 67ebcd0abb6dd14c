"""Tasks from Python and from the command line: what suits the data, what is named, what is written."""

import json

import numpy as np
import pyarrow.parquet as parquet
import pytest

from nearfar import ConfigError, DataError, api
from nearfar.data.load import from_records
from nearfar.evaluation.tasks.clustering import Clustering
from nearfar.evaluation.tasks.knn import KNN
from tests import runs
from tests.evaluation.tasks.made import Given, labelled_records, random_vectors

FAST = ["evaluation.resamples=200"]
GRADED = [{"sentence1": f"a {i}", "sentence2": f"b {i}", "score": i % 5 + 0.5} for i in range(30)]


def evaluate(rows, task=None, settings=(), **options):
    texts = ["width", *(str(value) for row in rows for value in row.values())]
    return api.evaluate(
        Given(random_vectors(texts)), from_records(rows), task=task, settings=[*FAST, *settings], **options
    )


def of(result):
    return {(row["task"].partition("(")[0], row["measure"]): row for row in result.scores["results"]}


def test_graded_pairs_are_sts_until_someone_says_what_is_relevant():
    scores = evaluate(GRADED).scores
    assert scores["kind"] == "graded pairs"
    assert [row["measure"] for row in scores["results"]] == ["Spearman", "Pearson"]
    assert set(scores["results"][0]) == {"system", "task", "measure", "value", "low", "high", "n", "unit"}
    assert "systems" in evaluate(GRADED, settings=["data.positive_from=3"]).scores
    with pytest.raises(ConfigError, match=r"--set data\.positive_from=GRADE"):
        evaluate(GRADED, "Retrieval")
    with pytest.raises(ConfigError, match=r"--set data\.positive_from=GRADE"):
        evaluate(GRADED, "Reranking")


def test_labelled_data_without_splits_is_split_for_what_learns():
    records, vectors = labelled_records({"train": 40})
    rows = [{name: row[name] for name in ("text", "label")} for row in records]
    found = api.evaluate(
        Given(vectors), from_records(rows), task=[KNN(), "Probe(examples=[1, 5], draws=1)", "Clustering"], settings=FAST
    )
    assert found.scores["split"] == "test"
    assert of(found)["Probe", "bayes@5"]["n"] == of(found)["KNN", "accuracy@1"]["n"] < 100
    alone = api.evaluate(Given(vectors), from_records(rows), task=Clustering(runs=2), settings=FAST)
    assert alone.scores["split"] == "all"


def test_cut_vectors_are_a_system_of_their_own():
    found = evaluate(GRADED, settings=["evaluation.truncate=4"]).scores
    assert [row["system"] for row in found["results"]] == ["Given", "Given", "Given@4", "Given@4"]
    with pytest.raises(ConfigError, match="cuts vectors to 99 dimensions"):
        evaluate(GRADED, settings=["evaluation.truncate=99"])


def test_what_is_written(tmp_path):
    found = evaluate(GRADED, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == found.scores
    table = parquet.read_table(tmp_path / "out" / "per_item.parquet").to_pydict()
    assert list(table) == ["task", "item", "column", "value", "system"]
    assert len(table["item"]) == 2 * 30
    assert set(table["column"]) == {"cosine", "grade"}


def test_names_splits_and_data_that_will_not_do():
    rows = [row | {"split": "dev"} for row in GRADED]
    with pytest.raises(ConfigError, match=r"There is no task 'ST'. Did you mean 'STS'"):
        evaluate(rows, "ST")
    with pytest.raises(ConfigError, match="has no split 'tset'"):
        evaluate(rows, "STS", split="tset")
    with pytest.raises(DataError, match=r"KNN needs texts with one label each, .*; records holds pairs with grades"):
        evaluate(rows, "KNN")
    with pytest.raises(ConfigError, match=r"bm25 has no vectors, which STS\(\) needs"):
        api.evaluate("bm25", from_records(rows), task="STS")


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 6)):
        rows = [
            {"text": f"{runs.ASK[label]} {runs.SAY[generator.integers(15)]} {split} {number}", "label": runs.ASK[label]}
            for label in range(5)
            for number in range(count)
        ]
        runs.write_lines(folder / f"{split}.jsonl", rows)
    return folder


def test_labelled_data_on_the_command_line(labels, tokenizer, capsys):
    assert runs.nearfar("evaluate", runs.static(tokenizer), labels, "--set", FAST[0]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for part in ("test: texts with labels", "KNN(neighbours=[1, 5, 20]) over 30 texts", "logistic@all", "V-measure"):
        assert part in printed
    assert "Left out: 50 examples of each label" in printed


def test_a_task_on_the_command_line(labels, tokenizer, capsys):
    task = "FewShot(ways=3, shots=2, queries=3, episodes=20)"
    assert runs.nearfar("evaluate", runs.static(tokenizer), labels, "--task", task, "--set", FAST[0]) == 0
    assert "over 20 episodes" in capsys.readouterr().out
    assert runs.nearfar("evaluate", runs.static(tokenizer), labels, "--task", "Retrieval", "--set", FAST[0]) == 0
    assert "nDCG@10" in capsys.readouterr().out
    message = runs.refused(capsys, "evaluate", runs.static(tokenizer), labels, "--task", "FewShot(shots=50)")
    assert "the largest has 6 texts. Lower ways, shots or queries." in message
