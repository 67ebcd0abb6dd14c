"""Cross-encoders as judges, with a small one of random weights."""

import math
from functools import cache

import numpy as np
import pytest
import torch

from nearfar.errors import ConfigError, DataError, ResourceError
from nearfar.negatives import cross_encoder
from nearfar.negatives.answers import Answers
from nearfar.negatives.cross_encoder import CrossEncoderJudge, open_cross_encoder
from nearfar.negatives.judges import Judge
from tests.encoders.models import STATIC, TINY

QUERIES = ["red car", "red car", "what is blue", "a", "red car"]
DOCUMENTS = ["a red car drives", "the sky and the sea are blue, and so are some cars " * 3, "sky", "b c d", "sky"]


@cache
def model():
    return open_cross_encoder(TINY, device="cpu")


@pytest.fixture
def judge(tmp_path):
    def make(of=None, **options):
        return CrossEncoderJudge(of or model(), Answers(tmp_path / "scores.jsonl"), **options)

    return make


@pytest.fixture
def passes(monkeypatch):
    """The pairs that go through the model, call by call."""
    calls, real = [], type(model()).predict

    def predict(self, pairs, **options):
        calls.append([tuple(pair) for pair in pairs])
        return real(self, pairs, **options)

    monkeypatch.setattr(type(model()), "predict", predict)
    return calls


def by_hand():
    """The logits of each pair on its own."""
    tokenizer, network = model().tokenizer, model()[0].model
    found = []
    with torch.inference_mode():
        for query, document in zip(QUERIES, DOCUMENTS, strict=True):
            found.append(network(**tokenizer(query, document, return_tensors="pt")).logits.item())
    return np.array(found)


def test_scores_are_those_of_the_model(judge):
    scores = judge().scores(QUERIES, DOCUMENTS)
    assert isinstance(judge(), Judge)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-by_hand())), rtol=1e-5)
    np.testing.assert_allclose(judge(logits=True).scores(QUERIES, DOCUMENTS), by_hand(), rtol=1e-4, atol=1e-6)
    assert len(np.unique(scores)) == 5
    assert judge().scores([], []).shape == (0,)


def test_equal_pairs_are_scored_once_and_order_does_not_matter(judge, passes, tmp_path):
    scores = judge().scores(QUERIES * 2, DOCUMENTS * 2)
    assert sorted(passes[0]) == sorted(zip(QUERIES, DOCUMENTS, strict=True))
    np.testing.assert_array_equal(scores[:5], scores[5:])
    np.testing.assert_array_equal(judge().scores(QUERIES[::-1], DOCUMENTS[::-1]), scores[:5][::-1])
    assert len(passes) == 1


def test_a_killed_job_scores_only_the_blocks_that_are_left_and_ends_with_the_same(judge, passes, tmp_path, monkeypatch):
    monkeypatch.setattr(cross_encoder, "_BLOCK", 2)
    expected = judge().scores(QUERIES, DOCUMENTS)
    assert [len(call) for call in passes] == [2, 2, 1]
    lengths = [len(query) + len(document) for call in passes for query, document in call]
    assert lengths == sorted(lengths)
    path = tmp_path / "scores.jsonl"
    path.write_bytes(path.read_bytes()[:-20])  # the last block was half written
    np.testing.assert_array_equal(judge().scores(QUERIES, DOCUMENTS), expected)
    assert [len(call) for call in passes] == [2, 2, 1, 1]


def test_other_weights_are_other_scores(judge, passes):
    other = open_cross_encoder(TINY, device="cpu", seed=0)
    assert judge(other).fingerprint == judge().fingerprint
    judge().scores(QUERIES, DOCUMENTS)
    with torch.no_grad():
        next(iter(other.parameters()))[0, 0] += 1e-3
    prints = {judge().fingerprint, judge(other).fingerprint, judge(batch=1).fingerprint, judge(logits=True).fingerprint}
    assert len(prints) == 4
    judge(other).scores(QUERIES, DOCUMENTS)
    assert len(passes) == 2
    shorter = open_cross_encoder(TINY, device="cpu", max_length=16)
    assert judge(shorter).fingerprint not in prints


def test_opening_twice_gives_the_same_and_leaves_random_numbers_alone():
    state = torch.random.get_rng_state()
    first, second = (open_cross_encoder(TINY, device="cpu", seed=seed) for seed in (0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [dict(each.named_parameters()) for each in (first, second)]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not first.training
    assert next(first.parameters()).dtype == torch.float32


def test_a_score_that_is_not_finite_is_an_error(judge, monkeypatch):
    monkeypatch.setattr(type(model()), "predict", lambda self, pairs, **options: np.full(len(pairs), math.nan))
    with pytest.raises(DataError, match="The cross-encoder gives nan for the query 'a' and the text 'b c d'"):
        judge().scores(["a"], ["b c d"])


def test_what_cannot_be_opened_is_said(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="static encoder"):
        open_cross_encoder(STATIC)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ResourceError, match="HF_HUB_OFFLINE"):
        open_cross_encoder("nobody/has-this-reranker")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="Cannot open the cross-encoder"):
        open_cross_encoder(str(tmp_path))


def test_a_judge_has_one_output(tmp_path):
    from sentence_transformers import CrossEncoder

    from nearfar.encoders.locate import locate

    CrossEncoder(str(locate(TINY).folder), num_labels=2, device="cpu").save(str(tmp_path / "two"))
    with pytest.raises(ConfigError, match="has 2 outputs; a judge needs one"):
        open_cross_encoder(str(tmp_path / "two"), device="cpu")
