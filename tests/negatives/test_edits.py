"""Texts by rule: one thing is changed, and what comes out is another text and no positive."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.data.identity import text_key
from nearfar.errors import ConfigError
from nearfar.negatives.edits import KINDS, Edits, edited, names_of
from tests.negatives.materials import DOCUMENTS, material


@pytest.mark.parametrize(
    ("text", "kind", "pattern"),
    [
        ("It has 12 floors.", "number", r"It has (?!12)[1-9]\d floors\."),
        ("It has 7 floors.", "number", r"It has (?!7)\d floors\."),
        ("Call 007.", "number", r"Call (?!007)\d{3}\."),
        ("It was not slow.", "negation", r"It was slow\."),
        ("It was slow.", "negation", r"It was not slow\."),
        ("call parse_tree, then parse_tree.", "name", r"call read_file, then read_file\."),
        ("They met Ada.", "name", r"They met Helsinki\."),
    ],
)
def test_an_edit_changes_one_thing(text, kind, pattern):
    found = [
        edited(text, kind, seed, identifiers=["parse_tree", "read_file"], names=["Ada", "Helsinki"])
        for seed in range(9)
    ]
    assert all(re.fullmatch(pattern, each) for each in found)
    assert edited(text, kind, 3, identifiers=["a_b"], names=["C"]) == edited(
        text, kind, 3, identifiers=["a_b"], names=["C"]
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("version v2 of nothing", "number"),
        ("Cats sleep.", "negation"),
        ("Cats sleep.", "name"),
        ("They met Ada, e.g. at noon.", "name"),
    ],
)
def test_where_there_is_nothing_to_change_there_is_no_edit(text, kind):
    assert edited(text, kind, 0, names=["Ada"]) is None


def test_every_other_number_can_come_and_never_the_same():
    assert {edited("7", "number", seed) for seed in range(200)} == set("012345689")


def test_names_of_documents():
    assert names_of(DOCUMENTS) == (
        ("parse_tree", "read_file"),
        ("Ada", "Finland", "Helsinki", "Miller"),
    )


@given(text=st.text(st.sampled_from("aB1 ._nots7"), min_size=1), kind=st.sampled_from(KINDS), seed=st.integers(0, 9))
def test_an_edit_is_another_text(text, kind, seed):
    found = edited(text, kind, seed, identifiers=["parse_tree", "aB"], names=["Ada", "Bo"])
    assert found is None or text_key(found) != text_key(text)


def test_edits_are_a_source():
    it = material()
    proposed = Edits(per_query=2).propose(it)
    written = Edits(per_query=2).written(it)
    assert len(written) + sum(written.refused.values()) == 4 * len(KINDS)
    assert written.refused["no number to change"] == 1
    assert proposed.hits.documents.shape[0] == 3
    assert (proposed.hits.documents[0] >= 5).sum() >= 3
    rows = proposed.hits.documents[proposed.hits.documents >= 0]
    assert sorted(rows.tolist()) == list(range(5, 5 + len(proposed.made.texts)))
    assert Edits(per_query=2).propose(material()).made.texts == proposed.made.texts
    assert Edits(per_query=2).propose(material(seed=1)).made.texts != proposed.made.texts


def test_an_edit_that_is_another_positive_is_refused():
    documents = ["It is 1.", *(f"It is {digit}." for digit in "023456789")]
    it = material(documents, [(0, row, 1) for row in range(10)], queries=["what is it"])
    written = Edits(kinds=("number",), per_query=10).written(it)
    assert (len(written), written.refused) == (0, {"same as a positive": 10})


def test_kinds_are_checked():
    assert str(Edits(kinds=("number", "name"))) == "Edits(kinds=[number, name])"
    with pytest.raises(ConfigError, match="kinds must be a list of number, negation, name"):
        Edits(kinds=())
    with pytest.raises(
        ConfigError, match=r"Edits: there is no kind 'numbers'\. Did you mean 'number'\? Known: number, negation, name"
    ):
        Edits(kinds=("numbers",))
