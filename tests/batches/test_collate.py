"""From pairs to batches."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.batches.collate import Keys, PairCollator
from nearfar.errors import DataError
from nearfar.objectives.masks import masks
from nearfar.types import Origin
from tests.data.memory import make


def judged():
    """Query 0 has two positives and three judged negatives; documents 0 and 1 are relevant to 1 and 2 as well."""
    rows = [(0, 0, 1), (0, 1, 2), (0, 4, 0), (0, 5, 0), (0, 6, 0), (1, 0, 1), (1, 4, 0), (2, 3, 1), (2, 1, 0)]
    return make(["q zero", "q one", "q two"], [f"document {n}" for n in range(8)], {"train": rows})


def labelled():
    """Twelve texts of three labels; every text is a query, and a document of its label's node."""
    texts = [f"text {number}" for number in range(12)]
    nodes = np.arange(12, dtype=np.int32) % 3
    made = make(texts, texts, {"train": [(query, int(nodes[query]), 1) for query in range(12)]}, layout="labels")
    return replace(made, nodes=nodes, labels=("a", "b", "c"))


def content(batch):
    relation = batch.relation
    judgements = zip(relation.rows.tolist(), relation.columns.tolist(), relation.grades.tolist(), strict=True)
    return batch.anchors, batch.candidates, sorted(judgements), relation.origins.tolist()


def test_a_batch_by_hand():
    collate = PairCollator(judged(), "train", hard_negatives=3, seed=0)
    assert len(collate) == 4
    batch = collate([(0, 0), (0, 3)])  # query 0 with document 0, query 2 with document 3
    anchors, candidates, judgements, origins = content(batch)
    assert anchors == ["q zero", "q two"]
    assert candidates[:2] == ["document 0", "document 3"]
    assert sorted(candidates[2:]) == ["document 1", "document 4", "document 5", "document 6"]
    assert origins == [Origin.IN_BATCH] * 2 + [Origin.HARD] * 4
    found = masks(batch.relation).positive
    relevant = {(anchors[i], candidates[j]) for i, j in found.nonzero().tolist()}
    # Document 1 came as the hard negative of query 2, and is relevant to query 0.
    assert relevant == {("q zero", "document 0"), ("q zero", "document 1"), ("q two", "document 3")}
    assert len(judgements) == 7


def test_two_pairs_of_one_query_are_one_anchor_and_a_shared_document_is_one_candidate():
    collate = PairCollator(judged(), "train", hard_negatives=0, seed=0)
    batch = collate([(0, 0), (0, 1), (0, 2)])  # query 0 twice, then query 1 with document 0 again
    assert batch.anchors == ["q zero", "q one"]
    assert batch.candidates == ["document 0", "document 1"]
    assert masks(batch.relation).positive.tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 9])
def test_hard_negatives_are_capped_for_each_query(limit):
    batch = PairCollator(judged(), "train", hard_negatives=limit, seed=0)([(0, 0)])
    assert batch.relation.origins.tolist().count(Origin.HARD) == min(limit, 3)
    assert len(batch.candidates) == 1 + min(limit, 3)


def test_which_hard_negatives_are_drawn_changes_with_the_epoch():
    collate = PairCollator(judged(), "train", hard_negatives=1, seed=0)
    drawn = {collate([(epoch, 0)]).candidates[-1] for epoch in range(40)}
    assert drawn == {"document 4", "document 5", "document 6"}


@given(
    limit=st.integers(0, 3),
    seed=st.integers(0, 3),
    epoch=st.integers(0, 3),
    pairs=st.lists(st.integers(0, 3), min_size=1, unique=True),
)
def test_texts_are_distinct_and_the_same_keys_give_the_same_batch(limit, seed, epoch, pairs):
    first, second = (PairCollator(judged(), "train", hard_negatives=limit, seed=seed) for _ in range(2))
    keys = [(epoch, pair) for pair in pairs]
    second([(epoch + 1, 0)])  # what was asked before does not matter
    assert content(first(keys)) == content(second(keys))
    batch = first(keys)
    assert len(set(batch.anchors)) == len(batch.anchors)
    assert len(set(batch.candidates)) == len(batch.candidates)
    assert masks(batch.relation).positive.any(dim=1).all()


def test_labelled_data_draws_another_text_of_the_label():
    dataset = labelled()
    collate = PairCollator(dataset, "train", hard_negatives=0, seed=0)
    assert len(collate) == 12
    drawn = {}
    for epoch in range(30):
        for pair in range(12):
            batch = collate([(epoch, pair)])
            (query,), (document,) = batch.anchors, batch.candidates
            assert document != query
            assert int(document.split()[1]) % 3 == int(query.split()[1]) % 3
            assert masks(batch.relation).positive.all()
            drawn.setdefault(query, set()).add(document)
    assert all(len(documents) == 3 for documents in drawn.values())


def test_labelled_data_gives_whole_batches_without_false_negatives():
    collate = PairCollator(labelled(), "train", hard_negatives=0, seed=0)
    batch = collate([(0, pair) for pair in range(12)])
    found = masks(batch.relation)
    for i, anchor in enumerate(batch.anchors):
        for j, candidate in enumerate(batch.candidates):
            alike = int(anchor.split()[1]) % 3 == int(candidate.split()[1]) % 3
            assert bool(found.positive[i, j]) == (alike and anchor != candidate)
            assert bool(found.negative[i, j]) == (not alike)


def test_a_pair_whose_only_document_is_the_query_itself_is_left_out():
    dataset = make(["same", "other"], ["same", "x"], {"train": [(0, 0, 1), (0, 1, 1), (1, 1, 1)]})
    collate = PairCollator(dataset, "train", hard_negatives=0, seed=0)
    assert len(collate) == 2
    assert [collate([(0, pair)]).candidates for pair in range(2)] == [["x"], ["x"]]


@pytest.mark.parametrize("rows", [[], [(0, 0, 0)], [(0, 1, 1)]])
def test_no_pair_to_train_on(rows):
    dataset = make(["a"], ["x", "a"], {"train": rows, "dev": [(0, 0, 1)]})
    with pytest.raises(DataError, match="The split 'train' of made has no relevant pair to train on"):
        PairCollator(dataset, "train", hard_negatives=4, seed=0)


def test_keys_are_their_own_items():
    assert len(Keys(3)) == 3
    assert Keys(3)[(1, 2)] == (1, 2)
