"""Building a table of distinct texts out of a stream."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.data.builder import TextsBuilder, subset
from nearfar.data.identity import normalise, text_keys
from nearfar.data.places import Place
from nearfar.errors import DataError

WORD = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
TEXT = st.lists(WORD, min_size=1, max_size=4).map(" ".join)
DISGUISE = st.sampled_from([str.upper, lambda text: f"  {text}\n", lambda text: text.replace(" ", " \t "), str])


def build(rows):
    builder = TextsBuilder("document", "d")
    found = [
        builder.add(text, Place("f.jsonl", line), identifier, group)
        for line, (text, identifier, group) in enumerate(rows, start=1)
    ]
    return builder, found


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=12, unique_by=normalise), st.data())
def test_planted_duplicates_collapse_onto_the_first_row(texts, data):
    planted = data.draw(st.lists(st.tuples(st.integers(0, len(texts) - 1), DISGUISE), max_size=10))
    disguised = [(row, disguise(texts[row])) for row, disguise in planted]
    disguised = [(row, text) for row, text in disguised if normalise(text) == normalise(texts[row])]
    rows = [(text, f"id{n}", None) for n, text in enumerate(texts)]
    rows += [(text, f"twin{n}", None) for n, (_, text) in enumerate(disguised)]
    builder, found = build(rows)
    table = builder.finish()
    assert table.texts.to_pylist() == texts
    assert found == [*range(len(texts)), *(row for row, _ in disguised)]
    assert table.aliases == {f"twin{n}": row for n, (row, _) in enumerate(disguised)}
    assert builder.duplicates == len(disguised)
    assert (table.keys == text_keys(texts)).all()
    assert all(table.row_of[f"twin{n}"] == row for n, (row, _) in enumerate(disguised))


def test_missing_ids_are_made_by_row_and_never_collide():
    builder, _ = build([("a", None, None), ("b", "d2", None), ("c", None, None), ("A", None, None)])
    table = builder.finish()
    assert table.ids.to_pylist() == ["d0", "d2", "d2_"]
    assert builder.duplicates == 0


def test_one_id_with_two_texts_names_both_places():
    with pytest.raises(DataError) as caught:
        build([("one text", "x", None), ("another", "y", None), ("other text " * 20, "x", None)])
    message = str(caught.value)
    assert "'x' has two different texts: 'one text' at f.jsonl:1 and 'other text" in message
    assert "f.jsonl:3" in message
    assert "..." in message


def test_an_alias_with_another_text_names_the_place_of_the_alias():
    with pytest.raises(DataError, match=r"'y' has two different texts.* at f\.jsonl:2 and 'c' at f\.jsonl:3"):
        build([("a", "x", None), ("A", "y", None), ("c", "y", None)])


def test_the_same_id_with_the_same_text_is_no_duplicate():
    builder, found = build([("a", "x", None), ("A ", "x", None)])
    assert found == [0, 0]
    assert builder.duplicates == 0
    assert builder.finish().aliases == {}


def test_an_id_may_not_move_to_a_text_that_is_known_already():
    with pytest.raises(DataError, match="'x' has two different texts"):
        build([("a", "x", None), ("b", "y", None), ("b", "x", None)])


@pytest.mark.parametrize("text", ["", "  \n\t", "\u00a0\u2003"])
def test_an_empty_text_is_refused_with_its_place(text):
    with pytest.raises(DataError, match=r"f\.jsonl:2: the document is empty"):
        build([("a", None, None), (text, None, None)])


@pytest.mark.parametrize(("text", "identifier"), [("half \ud800", "x"), ("whole", "\udc00")])
def test_half_a_surrogate_pair_is_refused(text, identifier):
    with pytest.raises(DataError, match=r"f\.jsonl:1: .* half a surrogate pair"):
        build([(text, identifier, None)])


def test_the_first_group_counts_and_later_ones_are_counted():
    builder, _ = build([("a", None, "g"), ("b", None, None), ("A", None, "h"), ("B", None, "h"), ("c", None, None)])
    assert builder.mixed_groups == 1
    groups = builder.finish().groups
    assert groups is not None
    assert groups.to_pylist() == ["g", "h", None]


def test_subset_renumbers_and_drops_aliases_of_rows_left_out():
    builder, _ = build([("a", "1", "g"), ("b", "2", "h"), ("c", "3", "g"), ("A", "4", None), ("C", "5", None)])
    table = builder.finish()
    part = subset(table, np.array([2, 1]))
    assert part.ids.to_pylist() == ["3", "2"]
    assert part.texts.to_pylist() == ["c", "b"]
    assert part.aliases == {"5": 0}
    assert part.groups is not None
    assert part.groups.to_pylist() == ["g", "h"]
    assert (part.keys == text_keys(["c", "b"])).all()
    assert subset(table, np.arange(3)) is table
