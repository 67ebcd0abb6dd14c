"""Cutting texts into micro-batches."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.encoders.load import load
from nearfar.encoders.protocol import Role, TorchEncoder
from nearfar.engine.microbatch import cut, pass_cost, prepare, token_budget
from nearfar.errors import ConfigError
from tests.encoders.models import STATIC, TINY, opened


@given(lengths=st.lists(st.integers(0, 50), max_size=40), budget=st.integers(1, 200))
def test_every_text_once_and_within_the_budget(lengths, budget):
    groups = cut(lengths, budget)
    places = [place for group in groups for place in group.tolist()]
    assert sorted(places) == list(range(len(lengths)))
    assert [lengths[place] for place in places] == sorted(lengths)
    for group in groups:
        longest = max(lengths[place] for place in group)
        assert len(group) == 1 or len(group) * max(longest, 1) <= budget


def cost_of(groups, lengths, cost):
    return sum(len(group) * max(1, *(lengths[place] for place in group)) + cost for group in groups)


def every_split(order):
    for cuts in product([False, True], repeat=len(order) - 1):
        groups = [[order[0]]]
        for place, new in zip(order[1:], cuts, strict=True):
            groups.append([place]) if new else groups[-1].append(place)
        yield groups


@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8), budget=st.integers(1, 60), cost=st.integers(0, 40))
def test_no_other_split_costs_less(lengths, budget, cost):
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    allowed = (
        groups
        for groups in every_split(order)
        if all(len(group) == 1 or len(group) * max(1, lengths[group[-1]]) <= budget for group in groups)
    )
    least = min(cost_of(groups, lengths, cost) for groups in allowed)
    assert cost_of([group.tolist() for group in cut(lengths, budget, cost)], lengths, cost) == least


def test_padding_is_weighed_against_passes():
    lengths = [2] * 10 + [10] * 3
    assert [len(group) for group in cut(lengths, 200, 79)] == [10, 3]
    assert [len(group) for group in cut(lengths, 200, 81)] == [13]
    assert [len(group) for group in cut([7] * 10, 30, 5)] == [2, 4, 4]


def test_a_pass_costs_more_on_an_accelerator(monkeypatch):
    assert pass_cost(opened(TINY)) == 128
    monkeypatch.setattr(TorchEncoder, "device", torch.device("cuda"))
    assert pass_cost(opened(TINY)) == 8192


def test_an_encoder_that_does_not_pad_takes_one_pass():
    many = [length for length in range(1, 500) for _ in range(20)]
    assert len(cut(many, token_budget(None, opened(STATIC)), pass_cost(opened(STATIC)))) == 1
    assert len(cut(many, token_budget(None, opened(STATIC)))) == 1
    assert len(cut([3, 3, 5], 6, pass_cost(opened(STATIC)))) == 2


def test_ties_stay_in_order_and_a_long_text_goes_alone():
    assert [group.tolist() for group in cut([3, 1, 3, 100, 1], 6)] == [[1, 4], [0, 2], [3]]
    assert cut([], 5) == []


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="A token budget must be at least 1, got 0"):
        cut([1], 0)


def test_the_budget_is_what_was_given_or_what_suits_the_encoder():
    padded, unpadded = opened(TINY), opened(STATIC)
    assert token_budget(7, padded) == token_budget(7, unpadded) == 7
    assert token_budget(None, padded) == 4096
    assert token_budget(None, unpadded) > 10**9


WORDS = ["a cat sat on the mat", "dogs", "", "what is a very long question about something else", "dogs and cats", "é"]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("options", [{}, {"prompts": {"query": "find: "}}, {"max_length": 5}])
def test_one_tokenisation_gives_what_preprocess_gives(options, side):
    encoder = load(TINY, device="cpu", **options)
    encoder.model.tokenizer.padding_side = side
    for budget in (1, 20, 1000):
        for batch in prepare(encoder, WORDS, Role.QUERY, budget):
            wanted = encoder.features([WORDS[place] for place in batch.places], Role.QUERY)
            assert batch.features.keys() == wanted.keys()
            for name, value in wanted.items():
                found = batch.features[name]
                assert torch.equal(found, value) if isinstance(value, torch.Tensor) else found == value
            assert batch.tokens == batch.features["input_ids"].numel()


def test_texts_are_tokenised_once(monkeypatch):
    encoder, calls = load(TINY, device="cpu"), []
    original = encoder.model.preprocess

    def preprocess(texts, **more):
        calls.append(texts)
        return original(texts, **more)

    monkeypatch.setattr(encoder.model, "preprocess", preprocess)
    assert len(prepare(encoder, WORDS, Role.QUERY, 20)) > 2
    assert calls == [WORDS]
    assert encoder.tokenised([], Role.QUERY).lengths == []


def test_other_padding_is_left_to_the_model():
    encoder = load(TINY, device="cpu")
    encoder.model[0].processing_kwargs = {"text": {"padding": "max_length", "max_length": 30}}
    (batch,) = prepare(encoder, WORDS[:2], Role.QUERY, 1000)
    assert batch.features["input_ids"].shape == (2, 30)
    static = opened(STATIC)
    found, plain = static.tokenised(WORDS, Role.QUERY), TorchEncoder.tokenised(static, WORDS, Role.QUERY)
    assert found.lengths == plain.lengths == static.lengths(WORDS, Role.QUERY)
    wanted = static.features([WORDS[3], WORDS[0]], Role.QUERY)
    assert torch.equal(found.features([3, 0])["input_ids"], wanted["input_ids"])
