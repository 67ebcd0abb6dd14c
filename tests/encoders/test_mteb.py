"""Our encoders in the runner of mteb."""

import mteb
import numpy as np
import pytest
import torch

from nearfar import ConfigError, DataError, load_model
from nearfar.encoders import mteb as adapter
from nearfar.encoders.module import ModuleEncoder
from nearfar.encoders.mteb import as_mteb
from nearfar.evaluation.tasks.sts import STS
from tests import runs
from tests.evaluation.mteb_tasks import local_task, retrieval_split
from tests.evaluation.tasks.made import Given, setting

SENTENCES = [query for query, _ in runs.sentences(40)]
PAIRS = [
    {"sentence1": left, "sentence2": right, "score": float(len(set(left.split()) & set(right.split())))}
    for left, right in zip(SENTENCES, SENTENCES[7:] + SENTENCES[:7], strict=True)
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return runs.static(runs.write_tokenizer(tmp_path_factory.mktemp("model") / "tokenizer.json"))


def test_the_runner_takes_a_model_and_keeps_its_results_apart(path, tmp_path):
    encoder, cache = load_model(path), mteb.ResultCache(tmp_path)
    task = local_task("STS", {"test": PAIRS})
    model = as_mteb(encoder, name="runs/first")
    assert isinstance(model, mteb.EncoderProtocol)
    found = mteb.evaluate(model, task, cache=cache, show_progress_bar=False).task_results[0].get_score()
    assert found == pytest.approx(STS().run(setting(PAIRS, encoder)).value("Spearman"), abs=1e-6)

    encoder.model[0].embedding.weight.data = torch.roll(encoder.model[0].embedding.weight.data, 1, dims=0)
    other = as_mteb(encoder, name="runs/first")
    assert other.mteb_model_meta.name == model.mteb_model_meta.name == "nearfar/runs_first"
    assert mteb.evaluate(other, task, cache=cache, show_progress_bar=False).task_results[0].get_score() != found


def test_queries_and_documents_have_their_own_prompts(path):
    asked = {}

    class Told(Given):
        def encode_queries(self, texts, sink=None):
            asked.setdefault("queries", []).extend(texts)
            return np.ones((len(texts), 4), np.float32) * np.arange(1, len(texts) + 1)[:, None]

        def encode_documents(self, texts, sink=None):
            asked.setdefault("documents", []).extend(texts)
            return np.ones((len(texts), 4), np.float32)

    data = retrieval_split({"q": "what is asked"}, {"d1": "one", "d2": "two"}, {"q": {"d1": 1}})
    task = local_task("Retrieval", {"test": data})
    mteb.evaluate(as_mteb(Told({})), task, cache=None, show_progress_bar=False)
    assert {side: sorted(texts) for side, texts in asked.items()} == {
        "queries": ["what is asked"],
        "documents": ["one", "two"],
    }


def test_similarity_is_the_encoders():
    left, right = np.array([[3.0, 4.0], [0.0, 2.0]], np.float32), np.array([[1.0, 0.0]], np.float32)
    cosine = as_mteb(Given({}))
    assert cosine.similarity(left, right).flatten().tolist() == pytest.approx([0.6, 0.0])
    dot = as_mteb(Given({}, similarity="dot"))
    assert dot.similarity(torch.from_numpy(left), torch.from_numpy(right)).tolist() == [[3.0], [0.0]]
    assert dot.similarity_pairwise(left[:1], right).tolist() == [3.0]
    assert dot.mteb_model_meta.revision != as_mteb(Given({})).mteb_model_meta.revision


class Summed(torch.nn.Module):
    def forward(self, features):
        return features["numbers"] @ torch.tensor([[1.0, 2.0], [0.0, 1.0]])


def test_any_torch_module():
    encoder = ModuleEncoder(Summed(), lambda texts, _: {"numbers": torch.tensor([[len(text), 1.0] for text in texts])})
    vectors = as_mteb(encoder).encode([{"text": ["a", "bcd"]}, {"text": ["ef"]}])
    assert vectors.tolist() == [[1, 3], [3, 7], [2, 5]]


def test_bad_input(monkeypatch):
    broken = Given({"a": np.array([1.0, np.nan])})
    with pytest.raises(DataError, match="NaN or infinity"):
        as_mteb(broken).encode([{"text": ["a"]}])
    with pytest.raises(DataError, match="mteb gave image, id"):
        as_mteb(broken).encode([{"image": [], "id": []}])
    monkeypatch.setattr(adapter, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'nearfar\[mteb\]'"):
        as_mteb(broken)
