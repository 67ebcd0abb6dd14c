"""The table of candidates."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError, ShapeError
from nearfar.negatives.candidates import Label, Positives, Reason
from nearfar.negatives.lists import by_pair, from_sources
from tests.negatives.jobs import empty, job, one_list, rows, shuffled


def test_sources_are_joined_by_query_and_source():
    positives = Positives(query=np.array([3], dtype=np.int32), document=np.array([9], dtype=np.int32))
    first = (np.array([[5, 4], [1, -1]], dtype=np.int32), np.array([[2, 1], [3, -np.inf]], dtype=np.float32))
    second = (np.array([[7], [5]], dtype=np.int32), np.array([[0.5], [0.25]], dtype=np.float32))
    found = from_sources(np.array([3, 8], dtype=np.int32), [first, second], positives)
    assert found.query.tolist() == [3, 3, 3, 8, 8]
    assert found.document.tolist() == [5, 4, 7, 1, 5]
    assert found.source.tolist() == [0, 0, 1, 0, 1]
    assert found.rank.tolist() == [0, 1, 0, 0, 0]
    assert found.score("source").tolist() == [2, 1, 0.5, 3, 0.25]
    assert found.kept.all()
    assert (found.label == Label.NEGATIVE).all()
    assert (found.weight == 1).all()
    assert found.lists.tolist() == [0, 0, 0, 1, 1]


def test_a_source_that_finds_nothing():
    positives = Positives(query=np.zeros(0, dtype=np.int32), document=np.zeros(0, dtype=np.int32))
    nothing = (np.full((2, 3), -1, dtype=np.int32), np.full((2, 3), -np.inf, dtype=np.float32))
    found = from_sources(np.array([0, 1], dtype=np.int32), [nothing], positives)
    assert len(found) == 0
    assert found.places().tolist() == []
    assert by_pair(found).lists.tolist() == []
    assert found.count()[Reason.KEPT] == 0


def test_a_row_keeps_its_first_reason():
    _, given_rows = one_list([0.5, 0.4])
    found = given_rows.drop(np.array([True, False]), Reason.MARGIN).drop(np.array([True, True]), Reason.WINDOW)
    assert found.reason.tolist() == [Reason.MARGIN, Reason.WINDOW]
    assert given_rows.kept.all()


def test_places_count_kept_rows_and_unknown_scores_come_last():
    _, found = one_list([0.1, np.nan, 0.9, 0.5])
    assert found.places().tolist() == [0, 1, 2, 3]
    assert found.places("teacher").tolist() == [2, 3, 0, 1]
    dropped = found.drop(np.array([False, False, True, False]), Reason.MARGIN)
    assert dropped.places("teacher").tolist() == [1, 2, -1, 0]


def test_ranks_of_several_sources_take_turns():
    _, found = job(queries=1, sources=2, depth=3, documents=30)
    order = found.hardest_first()
    assert found.rank[order].tolist() == sorted(found.rank.tolist())
    assert all(found.source[a] < found.source[b] for a, b in pairwise(order) if found.rank[a] == found.rank[b])


@pytest.mark.parametrize(("how", "expected"), [("min", -0.5), ("max", 0.75), ("mean", 0.125)])
def test_the_score_of_the_positives(how, expected):
    _, found = one_list([0.1, 0.2], positives=[0.75, -0.5])
    assert found.reference("teacher", how).tolist() == [expected, expected]


def test_an_unknown_score_of_one_positive_makes_all_of_them_unknown():
    _, found = one_list([0.1], positives=[0.75, np.nan])
    for how in ("min", "max", "mean"):
        assert np.isnan(found.reference("teacher", how)).all()


def test_lists_by_pair_hold_each_candidate_once_for_each_positive():
    _, found = one_list([0.1, 0.2, 0.3], positives=[0.75, -0.5])
    pairs = by_pair(found)
    assert pairs.document.tolist() == [0, 1, 2, 0, 1, 2]
    assert pairs.positive.tolist() == [3, 3, 3, 4, 4, 4]
    assert pairs.lists.tolist() == [0, 0, 0, 1, 1, 1]
    assert pairs.reference("teacher", "pair").tolist() == [0.75] * 3 + [-0.5] * 3


def test_the_score_of_the_pair_needs_lists_by_pair():
    _, found = one_list([0.1], positives=[0.75, -0.5])
    with pytest.raises(ConfigError, match="Set lists=pair"):
        found.reference("teacher", "pair")
    assert len(empty(found).reference("teacher", "pair")) == 0


def test_a_score_that_nobody_gave():
    _, found = one_list([0.1])
    with pytest.raises(ConfigError, match=r"no score 'techer'\. Did you mean 'teacher'"):
        found.score("techer")
    with pytest.raises(ConfigError, match="no score 'judge'"):
        found.reference("judge", "min")
    with pytest.raises(ShapeError, match="2 values for 1 candidates"):
        found.with_scores("judge", np.zeros(2, dtype=np.float32))


@settings(max_examples=40)
@given(st.integers(0, 1000), st.booleans())
def test_places_go_from_the_hardest_to_the_easiest(seed, pairs):
    _, found = job(seed, queries=3, documents=12, depth=6, pairs=pairs)
    moved, order = shuffled(found, seed)
    for by in (None, "teacher"):
        places = found.places(by)
        assert (moved.places(by) == places[order]).all()
        for one in np.unique(found.lists):
            inside = np.flatnonzero((found.lists == one) & found.kept)
            key = found.rank if by is None else np.nan_to_num(-found.score(by), nan=np.inf)
            ranked = inside[np.argsort(places[inside])]
            assert places[ranked].tolist() == list(range(len(inside)))
            ahead = [(key[row], found.source[row] if by is None else 0) for row in ranked]
            assert ahead == sorted(ahead)
    assert (found.places()[~found.kept] == -1).all()


@settings(max_examples=40)
@given(st.integers(0, 1000))
def test_references_are_those_of_a_slow_loop(seed):
    _, found = job(seed, queries=4, documents=12, depth=6)
    known = found.positives
    for how, reduce in (("min", min), ("max", max), ("mean", np.mean)):
        got = found.reference("teacher", how)
        for row in range(len(found)):
            own = known.scores["teacher"][known.query == found.query[row]].astype(np.float64)
            expected = np.nan if np.isnan(own).any() else np.float32(reduce(own))
            np.testing.assert_array_equal(got[row], expected)


@settings(max_examples=40)
@given(st.integers(0, 100))
def test_reasons_add_up(seed):
    stuff, found = job(seed)
    assert sum(found.count().values()) == len(found)
    assert rows(found, np.arange(len(found))).count() == found.count()
    assert stuff.closure.apply(found).count() == found.count()
