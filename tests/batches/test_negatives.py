"""Which hard negatives join a step, and that no relevant one ever does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.batches.collate import PairCollator
from nearfar.data.mined import never_relevant
from nearfar.data.tables import Mined
from nearfar.objectives.masks import masks
from nearfar.types import Origin
from tests.data.memory import make

DOCUMENTS = 12


def mined(rows, *, ignored=()):
    """From (query, positive, document, weight, group), in their order within a list."""
    rows = sorted(rows, key=lambda row: row[:2])
    columns = [np.array([row[place] for row in rows]) for place in range(5)]
    pairs = np.array(sorted(ignored), dtype=np.int32).reshape(-1, 2)
    return Mined(
        query=columns[0].astype(np.int32),
        positive=columns[1].astype(np.int32),
        document=columns[2].astype(np.int32),
        weight=columns[3].astype(np.float32),
        group=columns[4].astype(np.int32),
        ignored_query=pairs[:, 0],
        ignored_document=pairs[:, 1],
    )


def data(found=None, *judged):
    """Queries 0 to 3, of which each has the document of its number, and query 0 also document 4."""
    relevant = [(0, 0, 1), (0, 4, 1), (1, 1, 1), (2, 2, 1), (3, 3, 1)]
    made = make(
        [f"query {number}" for number in range(4)],
        [f"document {number}" for number in range(DOCUMENTS)],
        {"train": [*relevant, *judged]},
    )
    return replace(made, mined=found)


def for_query(*documents, query=0, group=0):
    return [(query, -1, document, 1.0, group) for document in documents]


def hard(batch):
    """Numbers of the documents that joined as hard negatives."""
    origins = batch.relation.origins.tolist()
    return [
        int(text.split()[1]) for text, origin in zip(batch.candidates, origins, strict=True) if origin == Origin.HARD
    ]


def test_the_first_ones_are_the_hardest_and_judged_ones_fill_up():
    dataset = data(mined(for_query(9, 7, 8)), (0, 5, 0))
    for limit, expected in ((1, [9]), (2, [9, 7]), (3, [9, 7, 8]), (4, [9, 7, 8, 5]), (9, [9, 7, 8, 5])):
        collate = PairCollator(dataset, "train", limit, 0, negatives="first")
        assert hard(collate([(0, 0)])) == expected


def test_random_ones_are_drawn_from_both_anew_each_epoch_and_the_same_for_the_same_seed():
    dataset = data(mined(for_query(9, 7, 8)), (0, 5, 0))
    one, other = (PairCollator(dataset, "train", 2, 0) for _ in range(2))
    drawn = [sorted(hard(one([(epoch, 0)]))) for epoch in range(60)]
    assert drawn == [sorted(hard(other([(epoch, 0)]))) for epoch in range(60)]
    assert {tuple(pair) for pair in drawn} == {(5, 7), (5, 8), (5, 9), (7, 8), (7, 9), (8, 9)}


def test_groups_take_turns():
    dataset = data(mined(for_query(9, 7) + for_query(8, group=1) + for_query(6, group=2)))
    collate = PairCollator(dataset, "train", 4, 0, negatives="groups")
    assert [hard(collate([(epoch, 0)])) for epoch in range(4)] == [[9, 7], [8], [6], [9, 7]]


def test_lists_of_pairs_belong_to_their_pairs():
    rows = [(0, 0, 9, 1.0, 0), (0, 0, 8, 1.0, 0), (0, 4, 7, 1.0, 0)]
    collate = PairCollator(data(mined(rows)), "train", 1, 0, negatives="first")
    assert hard(collate([(0, 0)])) == [9]
    assert hard(collate([(0, 1)])) == [7]
    assert hard(collate([(0, 0), (0, 1)])) == [9, 7]


@pytest.mark.parametrize("how", ["first", "random", "groups"])
def test_lists_of_any_length_lose_no_query(how):
    dataset = data(mined(for_query(9, 7, 8) + for_query(10, query=2)))
    batch = PairCollator(dataset, "train", 2, 0, negatives=how)([(0, pair) for pair in range(5)])
    assert len(batch.anchors) == 4
    assert masks(batch.relation).positive.any(dim=1).all()
    assert len(hard(batch)) == 3


def test_a_mined_negative_is_the_own_one_of_its_queries_and_plain_to_the_others():
    dataset = data(mined(for_query(9) + for_query(9, query=1)), (2, 9, 0), (0, 9, 0))
    relation = PairCollator(dataset, "train", 2, 0)([(0, 0), (0, 2), (0, 3), (0, 4)]).relation
    column = relation.origins.tolist().index(Origin.HARD)
    judged = [
        (row, grade)
        for row, at, grade in zip(
            relation.rows.tolist(), relation.columns.tolist(), relation.grades.tolist(), strict=True
        )
        if at == column
    ]
    assert sorted(judged) == [(0, 0.0), (1, 0.0), (2, 0.0)]


def test_what_may_be_relevant_is_neither():
    dataset = data(mined(for_query(9), ignored=[(0, 1), (1, 9), (0, 4), (3, 9)]))
    batch = PairCollator(dataset, "train", 2, 0)([(0, 0), (0, 1), (0, 2), (0, 3)])
    found = masks(batch.relation)
    columns = {text: place for place, text in enumerate(batch.candidates)}
    unused = [(row, column) for row, column in (~found.valid).nonzero().tolist()]
    assert unused == [(0, columns["document 1"]), (1, columns["document 9"])]
    assert found.positive[0, columns["document 4"]]


def test_weights_are_those_of_the_mined_pairs():
    rows = [(0, -1, 9, 0.25, 0), (1, -1, 9, 0.5, 0), (1, -1, 7, 2.0, 0)]
    dataset = data(mined(rows))
    assert PairCollator(dataset, "train", 2, 0)([(0, 0)]).weights is None
    batch = PairCollator(dataset, "train", 2, 0, weighed=True, negatives="first")([(0, 0), (0, 2)])
    assert batch.candidates == ["document 0", "document 1", "document 9", "document 7"]
    assert batch.weights.tolist() == [[1, 1, 0.25, 1], [1, 1, 0.5, 2]]


def test_other_lists_count_from_the_moment_they_are_given():
    collate = PairCollator(data(), "train", 2, 0)
    assert hard(collate([(0, 0)])) == []
    collate.use(mined(for_query(9)))
    assert hard(collate([(0, 0)])) == [9]
    collate.use(None)
    assert hard(collate([(0, 0)])) == []


@given(
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, DOCUMENTS - 1)), max_size=30, unique=True),
    relevant=st.lists(st.tuples(st.integers(0, 3), st.integers(0, DOCUMENTS - 1)), max_size=10, unique=True),
    how=st.sampled_from(["first", "random", "groups"]),
    epoch=st.integers(0, 3),
)
def test_no_relevant_document_is_ever_a_negative(pairs, relevant, how, epoch):
    """Whatever a job has mined, and whatever was relabelled since."""
    dataset = data(None, *((query, document, 1) for query, document in relevant))
    found = mined([(query, -1, document, 1.0, document % 3) for query, document in pairs])
    kept = never_relevant(dataset, found)
    truth = set(zip(dataset.qrels["train"].query.tolist(), dataset.qrels["train"].node.tolist(), strict=True))
    assert set(zip(kept.query.tolist(), kept.document.tolist(), strict=True)) == set(pairs) - truth
    collate = PairCollator(replace(dataset, mined=kept), "train", 3, 0, negatives=how)
    batch = collate([(epoch, pair) for pair in range(len(collate))])
    negative = masks(batch.relation).negative
    for row, anchor in enumerate(batch.anchors):
        for column, candidate in enumerate(batch.candidates):
            pair = int(anchor.split()[1]), int(candidate.split()[1])
            assert bool(negative[row, column]) == (pair not in truth)


def test_a_negative_with_the_text_of_its_query_is_left_out():
    dataset = make(["same", "other"], ["x", "Same "], {"train": [(0, 0, 1), (1, 0, 1)]})
    found = mined([(0, -1, 1, 1.0, 0), (1, -1, 1, 1.0, 0)])
    assert never_relevant(dataset, found).query.tolist() == [1]
