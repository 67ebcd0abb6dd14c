import pytest

from nearfar import ConfigError, DataError, RunConfig, api, load
from nearfar.data.tables import Facts
from nearfar.encoders.module import ModuleEncoder
from tests import runs
from tests.data.memory import make


def test_the_result_of_training(finished, pairs, tokenizer):
    result = api.train(pairs, model=runs.static(tokenizer), out=finished, settings=runs.FAST, resume=True)
    assert (result.model, result.report) == (finished / "model", finished / "report.html")
    assert result.scores == runs.scores(finished)
    assert result.difference() == result.difference("nDCG@10") == result.scores["comparisons"][0]
    assert result.difference("RR@10", "base", "bm25")["measure"] == "RR@10"
    with pytest.raises(ConfigError, match="There is no comparison of bm25 with base by None"):
        result.difference(treatment="bm25", control="base")


def test_search_gives_ids_texts_and_scores(finished):
    query, document = next(iter(runs.sentences()))
    found = api.search(finished, query, k=4)
    assert list(found) == ["base", "tuned"]
    assert all(len(hits) == 4 for hits in found.values())
    assert document in [hit.text for hit in found["tuned"]]
    scores = [hit.score for hit in found["tuned"]]
    assert scores == sorted(scores, reverse=True)


def test_paths_tables_and_configurations_are_the_same_to_evaluate(finished, pairs):
    config = RunConfig()
    by_path = api.evaluate("bm25", pairs, settings=["evaluation.depth=200"]).scores
    assert api.evaluate("bm25", load(pairs), config=config, settings=["evaluation.depth=200"]).scores == by_path
    assert api.evaluate("bm25", pairs).folder is None


def test_a_module_of_ones_own(tmp_path):
    import torch

    words = {word: place for place, word in enumerate([*runs.ASK, *runs.SAY], start=1)}

    def tokenise(texts, role):
        rows = [[words.get(word, 0) for word in text.split()] for text in texts]
        width = max(map(len, rows))
        return {"ids": torch.tensor([row + [0] * (width - len(row)) for row in rows])}

    class Bag(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.vectors = torch.nn.Embedding(len(words) + 1, 16)
            self.dropout = torch.nn.Dropout(0.9)  # with which it would learn little

        def forward(self, features):
            return self.dropout(self.vectors(features["ids"])).mean(dim=1)

    known = list(runs.sentences(200))
    splits = {
        name: [(row, row, 1) for row in rows]
        for name, rows in (("train", range(120)), ("dev", range(120, 160)), ("test", range(160, 200)))
    }
    dataset = make([query for query, _ in known], [document for _, document in known], splits)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = ModuleEncoder(Bag(), tokenise)
    settings = (*runs.FAST, "training.learning_rate=0.05", "training.epochs=8", "training.dropout=0")
    result = api.train(dataset, model=encoder, out=tmp_path / "run", settings=settings)
    assert result.difference()["mean"] > 0.2
    assert encoder.module.dropout.p == 0
    assert (result.folder / "model" / "model.safetensors").is_file()


def test_graded_tables_need_to_know_what_is_relevant(tmp_path):
    dataset = make(["a", "b"], ["c", "d"], {"test": [(0, 0, 5), (1, 1, 2)]}, layout="scored")
    with pytest.raises(
        ConfigError, match=r"memory: the pairs have grades from 2 to 5, .* --set data.positive_from=GRADE"
    ):
        api.evaluate("bm25", dataset)
    assert api.evaluate("bm25", dataset, settings=["data.positive_from=1"]).scores["queries"] == 2


def test_training_without_relevant_pairs_writes_nothing(tokenizer, tmp_path):
    splits = {"train": [(0, 0, 0)], "dev": [(1, 1, 1)], "test": [(2, 2, 1)]}
    dataset = make(["a", "b", "c"], ["d", "e", "f"], splits)
    assert dataset.facts == Facts(source="memory", layout="pairs", rows_read=0)
    with pytest.raises(DataError, match="'train' of made has no relevant pair to train on"):
        api.train(dataset, model=runs.static(tokenizer), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
