"""Encoding for search: the same vectors as sentence-transformers, in order, without a trace on the model."""

from importlib import import_module

import numpy as np
import pytest
import torch
from torch import nn

from nearfar.encoders.load import load
from nearfar.encoders.module import ModuleEncoder
from nearfar.encoders.protocol import Role
from nearfar.errors import ConfigError, DataError
from nearfar.events import Progress
from tests.encoders.models import MINILM, STATIC, TINY, opened

embedding = import_module("nearfar.engine.embed")  # the package has a function of this name

TEXTS = [
    "a",
    "The quick brown fox jumps over the lazy dog.",
    "def sort(items): return sorted(items)",
    "b",
    "word " * 100,
    "naïve café",
    "日本語のテキスト",
    "   spaces   ",
    "a",
]


class Collected:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


@pytest.mark.parametrize("prompts", [None, {"query": "query: ", "document": "passage: "}], ids=["plain", "prompts"])
@pytest.mark.parametrize(
    ("name", "max_length", "budget"),
    [(TINY, None, 1), (TINY, 16, 60), (TINY, None, None), (MINILM, 16, 60), (STATIC, None, 60)],
)
def test_vectors_are_those_of_sentence_transformers(name, max_length, budget, prompts):
    encoder = load(name, prompts=prompts, max_length=max_length, device="cpu")
    encoder.inference_tokens = budget
    for ours, theirs in (
        (encoder.encode_queries, encoder.model.encode_query),
        (encoder.encode_documents, encoder.model.encode_document),
    ):
        found, expected = ours(TEXTS), theirs(TEXTS, show_progress_bar=False)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_prompts_make_a_difference():
    plain, prompted = opened(TINY), load(TINY, prompts={"query": "query: "}, device="cpu")
    assert np.abs(plain.encode_queries(["cat"]) - prompted.encode_queries(["cat"])).max() > 1e-3
    np.testing.assert_array_equal(plain.encode_documents(["cat"]), prompted.encode_documents(["cat"]))


def test_a_prompt_that_pooling_leaves_out_is_left_out():
    encoder = load(TINY, prompts={"query": "find this: "}, device="cpu")
    encoder.model[1].include_prompt = False
    expected = encoder.model.encode_query(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(encoder.encode_queries(TEXTS), expected, atol=1e-5)
    encoder.model[1].include_prompt = True
    assert np.abs(encoder.encode_queries(TEXTS) - expected).max() > 1e-3


def test_order_survives_windows(monkeypatch):
    monkeypatch.setattr(embedding, "_WINDOW", 4)
    encoder = load(STATIC, device="cpu")
    together = encoder.encode_documents(TEXTS)
    alone = np.concatenate([encoder.encode_documents([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_array_equal(together[0], together[-1])


def test_dropout_is_off_and_every_mode_is_put_back():
    encoder = load(TINY, device="cpu")
    encoder.train()
    encoder.model[1].eval()
    first, second = encoder.encode_queries(TEXTS), encoder.encode_queries(TEXTS)
    np.testing.assert_array_equal(first, second)
    assert encoder.training
    assert encoder.model[0].training
    assert not encoder.model[1].training
    encoder.eval()
    encoder.encode_queries(["a"])
    assert not any(module.training for module in encoder.modules())


def test_the_mode_is_put_back_after_an_error():
    encoder = load(STATIC, device="cpu")
    encoder.train()
    with pytest.raises(TypeError):
        encoder.encode_queries([None])
    assert encoder.training


def test_training_goes_on_after_encoding():
    encoder = load(TINY, device="cpu")
    encoder.encode_queries(["a"])
    vectors = encoder(encoder.features(["a"], Role.QUERY))
    vectors.sum().backward()
    assert encoder.model[0].model.embeddings.word_embeddings.weight.grad is not None


def test_broken_weights_are_found_out():
    encoder = load(STATIC, device="cpu")
    token = encoder.model.tokenizer.encode("broken", add_special_tokens=False).ids[0]
    with torch.no_grad():
        encoder.model[0].embedding.weight[token] = float("nan")
    assert np.isfinite(encoder.encode_documents(["fine", "also fine"])).all()
    with pytest.raises(DataError, match="not finite for 2 of 3 document texts, the first of them 'broken promise'"):
        encoder.encode_documents(["fine", "broken promise", "it is broken"])


def test_nothing_to_encode_is_an_error():
    with pytest.raises(DataError, match="There is no query to encode"):
        opened(STATIC).encode_queries([])
    with pytest.raises(DataError, match="There is no document to encode"):
        opened(STATIC).encode_documents([])


def test_progress_counts_every_text():
    sink = Collected()
    encoder = load(STATIC, device="cpu")
    encoder.inference_tokens = 20
    encoder.encode_documents(TEXTS, sink)
    assert all(isinstance(event, Progress) and event.task == "Encoding documents" for event in sink.events)
    assert [event.done for event in sink.events] == sorted({event.done for event in sink.events})
    assert sink.events[-1].done == sink.events[-1].total == len(TEXTS)


def test_bfloat16_is_close():
    encoder = load(TINY, device="cpu")
    exact = encoder.encode_documents(TEXTS)
    encoder.precision = "bfloat16"
    rough = encoder.encode_documents(TEXTS)
    assert rough.dtype == np.float32
    cosine = (exact * rough).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert cosine.min() > 0.99
    assert np.abs(exact - rough).max() > 0


def test_precisions():
    processor = torch.device("cpu")
    assert embedding.resolve_precision("bfloat16", processor) == "bfloat16"
    assert embedding.resolve_precision("float32", processor) == "float32"
    assert embedding.resolve_precision("auto", processor) in ("float32", "bfloat16")
    assert embedding.resolve_precision("auto", torch.device("meta")) == "float32"
    with pytest.raises(ConfigError, match="precision must be one of auto, float32, bfloat16, got 'float16'"):
        embedding.resolve_precision("float16", processor)


def test_a_module_without_parameters_encodes_too():
    class Lengths(nn.Module):
        def forward(self, features):
            return features["lengths"]

    encoder = ModuleEncoder(
        Lengths(), lambda texts, role: {"lengths": torch.tensor([[float(len(text)), 1.0] for text in texts])}
    )
    assert encoder.encode_queries(["ab", "a"]).tolist() == [[2, 1], [1, 1]]
