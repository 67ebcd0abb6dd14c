"""The identity of texts: what counts as equal, and that it is stable."""

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.data.identity import normalise, text_key, text_keys

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hello\t World \n", "hello world"),
        ("\uff26\uff35\uff2c\uff2c\u3000\uff57\uff49\uff44\uff54\uff48", "full width"),
        ("ﬁne", "fine"),
        ("a\u00a0b", "a b"),
        ("É", "é"),
        ("J\u030c", "\u01f0"),
        ("   ", ""),
    ],
)
def test_normalise_by_hand(text, expected):
    assert normalise(text) == expected


def test_normalising_every_character_twice_changes_nothing():
    unstable = [
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co", "Lo")
        and normalise(normalise(f"a{chr(code)}b")) != normalise(f"a{chr(code)}b")
    ]
    assert unstable == []


@settings(deadline=None)
@given(TEXT)
def test_the_key_of_a_normalised_text_is_the_key_of_the_text(text):
    assert normalise(normalise(text)) == normalise(text)
    assert text_key(normalise(text)) == text_key(text)


@settings(deadline=None)
@given(st.lists(TEXT, max_size=8))
def test_keys_are_equal_exactly_when_normalised_texts_are(texts):
    keys = [tuple(row) for row in text_keys(texts).tolist()]
    for first, first_key in zip(texts, keys, strict=True):
        for second, second_key in zip(texts, keys, strict=True):
            assert (first_key == second_key) == (normalise(first) == normalise(second))


def test_keys_have_fixed_values():
    """A key is written into files, so it may never change: BLAKE2b with 16 bytes of the normalised text."""
    keys = text_keys(["Hello  World", "hello world", "other"])
    assert keys.dtype == np.uint64
    assert keys.shape == (3, 2)
    assert keys[0].tobytes().hex() == "e9a804b2e527fd3601d2ffc0bb023cd6"
    assert (keys[0] == keys[1]).all()
    assert not (keys[0] == keys[2]).any()


def test_no_texts_give_no_rows():
    assert text_keys([]).shape == (0, 2)
