import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.data.near_duplicates import first_of_kind

LONG = "def add ( first , second ) : total = first + second ; return total"


def test_copies_and_small_changes_are_dropped_and_others_kept():
    texts = [LONG, "something quite different from all of that", LONG, LONG + " now", LONG.upper(), "short", "short"]
    assert first_of_kind(texts).tolist() == [True, True, False, False, False, True, True]


def slow(texts, similarity, words):
    """Pairs one by one, each against the kept ones before."""
    sets = []
    for text in texts:
        tokens = re.findall(r"\w+|[^\w\s]", text.lower())
        sets.append({tuple(tokens[start : start + words]) for start in range(len(tokens) - words + 1)})
    kept = []
    for place, mine in enumerate(sets):
        near = [mine and len(mine & sets[other]) >= similarity * len(mine | sets[other]) for other in kept]
        if not any(near):
            kept.append(place)
    return [place in kept for place in range(len(texts))]


@given(
    st.lists(st.lists(st.sampled_from("abc"), max_size=8).map(" ".join), min_size=1, max_size=12),
    st.sampled_from([0.3, 0.5, 0.75]),
)
def test_like_comparing_all_pairs(texts, similarity):
    texts = [*texts, "some words to have any"]
    assert first_of_kind(texts, similarity=similarity, words=2).tolist() == slow(texts, similarity, 2)


def test_what_everybody_has_does_not_count():
    licence = "licensed under the terms of the licence of everybody "
    texts = [licence + f"w{place} x{place} y{place} z{place} u{place}" for place in range(120)]
    assert first_of_kind(texts, similarity=0.3).all()


@pytest.mark.parametrize("texts", [["a"], ["a", "b"]])
def test_texts_without_a_sequence_are_kept(texts):
    assert first_of_kind(texts).all()
