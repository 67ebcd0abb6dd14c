"""Queries whose positive a source does not find."""

import numpy as np

from nearfar.data.tables import TRAIN
from nearfar.negatives.filters.consistency import Consistency
from nearfar.negatives.lists import by_pair, from_sources
from tests.data.memory import make
from tests.negatives.jobs import material, reasons


def found_at(lists, *, second=None, positives=((0, 0), (1, 1))):
    dataset = make(
        ["a", "b"],
        [f"text {row}" for row in range(6)],
        {TRAIN: [(query, document, 1) for query, document in positives]},
    )
    stuff = material(dataset)
    hits = [
        (np.array(each, dtype=np.int32), np.zeros((2, len(each[0])), dtype=np.float32))
        for each in (lists, second)
        if each
    ]
    return stuff, stuff.closure.apply(from_sources(stuff.queries, hits, stuff.closure.positives))


def test_a_positive_behind_the_first_places_drops_the_query():
    stuff, found = found_at([[3, 0, 4], [3, 4, 1]])
    assert reasons(Consistency(top=2).apply(found, stuff)) == [
        *["KEPT", "POSITIVE", "KEPT"],
        *["CONSISTENCY", "CONSISTENCY", "POSITIVE"],
    ]
    assert Consistency(top=3).apply(found, stuff).kept.tolist() == found.kept.tolist()


def test_a_positive_that_is_not_found_at_all():
    stuff, found = found_at([[3, 0, 4], [3, 4, 5]])
    assert reasons(Consistency().apply(found, stuff))[3:] == ["CONSISTENCY"] * 3


def test_one_of_several_positives_is_enough():
    stuff, found = found_at([[3, 0], [4, 3]], positives=[(0, 5), (0, 0), (1, 1)])
    for rows in (found, by_pair(found)):
        after = Consistency().apply(rows, stuff)
        assert after.kept[(rows.query == 0) & rows.kept].all()
        assert not after.kept[rows.query == 1].any()


def test_the_source_counts():
    stuff, found = found_at([[3, 4], [3, 4]], second=[[0, 3], [3, 5]])
    assert set(reasons(Consistency(source=0).apply(found, stuff))) == {"CONSISTENCY", "POSITIVE", "REPEATED"}
    after = Consistency(source=1).apply(found, stuff)
    assert after.kept[found.query == 0].any()
    assert not after.kept[found.query == 1].any()
