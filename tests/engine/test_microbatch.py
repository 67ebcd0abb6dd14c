"""Cutting texts into micro-batches."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.engine.microbatch import cut, token_budget
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


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40), budget=st.integers(1, 200))
def test_no_group_is_closed_too_early(lengths, budget):
    groups = cut(lengths, budget)
    for group, following in pairwise(groups):
        assert (len(group) + 1) * lengths[following[0]] > budget


def test_ties_stay_in_order_and_a_long_text_goes_alone():
    assert [group.tolist() for group in cut([3, 1, 3, 100, 1], 6)] == [[1, 4], [0, 2], [3]]
    assert cut([], 5) == []


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="A token budget must be at least 1, got 0"):
        cut([1], 0)


def test_the_budget_is_what_was_given_or_what_suits_the_encoder():
    padded, unpadded = opened(TINY), opened(STATIC)
    assert token_budget(7, padded) == token_budget(7, unpadded) == 7
    assert token_budget(None, padded) == 2048
    assert token_budget(None, unpadded) > 10**9
