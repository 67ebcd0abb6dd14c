"""Positives, negatives and ignored pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import ShapeError
from nearfar.objectives import InfoNCE
from nearfar.objectives.masks import dense_masks, masks, same_side
from tests.objectives.relations import relation, relations, whole


@given(known=relations())
def test_a_pair_is_exactly_one_of_positive_negative_ignored(known):
    found = masks(known)
    kinds = found.positive.int() + found.negative.int() + (~found.valid).int()
    assert (kinds == 1).all()
    assert found.positive.shape == known.shape
    torch.testing.assert_close(found.transpose().negative, found.negative.T)


def test_what_each_pair_is_by_hand():
    known = relation(
        [[2, None, 0, 1], [None, 1, None, None]],
        anchor_ids=[1, 2],
        candidate_ids=[10, 2, 12, 13],
        ignored=[(0, 0), (1, 2)],
        positive_from=2.0,
    )
    found = masks(known)
    # (0, 0) is listed as ignored but relevant; (1, 1) is a text and itself; (0, 3) has a grade that is too low.
    assert found.positive.tolist() == [[True, False, False, False], [False, False, False, False]]
    assert found.negative.tolist() == [[False, True, True, True], [True, False, False, True]]


@given(known=relations())
def test_dense_and_sparse_relations_agree(known):
    reaches = known.grades >= known.positive_from
    relevance = torch.zeros(known.shape)
    relevance[known.rows[reaches], known.columns[reaches]] = 1
    ignored = torch.zeros(known.shape, dtype=torch.bool)
    ignored[known.ignored_rows, known.ignored_columns] = True
    sparse, dense = masks(known), dense_masks(relevance, ignored, known.anchor_ids, known.candidate_ids)
    assert torch.equal(sparse.positive, dense.positive)
    assert torch.equal(sparse.valid, dense.valid)


@given(known=relations(), data=st.data())
def test_a_copy_of_a_positive_is_nowhere_a_negative(known, data):
    """G1: plant a copy of a relevant text among the candidates, or a copy of its anchor among the anchors."""
    before = masks(known)
    pairs = before.positive.nonzero().tolist()
    if not pairs:
        return
    row, column = data.draw(st.sampled_from(pairs))
    columns = torch.cat([torch.arange(known.shape[1]), whole([column])])
    rows = torch.cat([torch.arange(known.shape[0]), whole([row])])
    planted = type(known)(
        **{
            **vars(known),
            "anchor_ids": known.anchor_ids[rows],
            "candidate_ids": known.candidate_ids[columns],
            "origins": known.origins[columns],
        }
    )
    found = masks(planted)
    assert found.positive[row, -1]
    assert found.positive[-1, column]
    assert torch.equal(found.positive, before.positive[rows][:, columns])
    assert torch.equal(found.negative, before.negative[rows][:, columns])
    anchors = same_side(found, planted.anchor_ids, planted.candidate_ids)
    candidates = same_side(found.transpose(), planted.candidate_ids, planted.anchor_ids)
    assert not anchors[row, -1]
    assert not candidates[column, -1]


@given(known=relations())
def test_no_objective_pushes_a_relevant_text_away_on_its_own_side(known):
    """G1 for anchors among anchors: a text that is relevant to another one stays so when it is an anchor itself."""
    found = masks(known)
    anchors, candidates = known.anchor_ids.tolist(), known.candidate_ids.tolist()
    relevant = {(anchors[i], candidates[j]) for i, j in found.positive.nonzero().tolist()}
    beside = same_side(found, known.anchor_ids, known.candidate_ids)
    below = same_side(found.transpose(), known.candidate_ids, known.anchor_ids)
    assert torch.equal(beside, beside.T)
    for ids, usable in ((anchors, beside), (candidates, below)):
        for one, other in usable.nonzero().tolist():
            assert ids[one] != ids[other]
            assert (ids[one], ids[other]) not in relevant


def test_texts_that_were_drawn_for_one_another_are_not_negatives_on_their_side():
    """Labelled data: a and b carry one label, b was drawn for a, and a for b; nothing is shared but the texts."""
    known = relation([[1, None], [None, 1]], anchor_ids=[1, 2], candidate_ids=[2, 1])
    found = masks(known)
    assert not found.negative.any()
    assert not same_side(found, known.anchor_ids, known.candidate_ids).any()
    assert not same_side(found.transpose(), known.candidate_ids, known.anchor_ids).any()


def test_anchors_that_share_a_positive_are_not_negatives_but_others_are():
    found = masks(relation([[1, None, None], [1, 1, None], [None, None, 1]]))
    assert same_side(found).tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    assert same_side(found.transpose()).tolist() == [[False, False, True], [False, False, True], [True, True, False]]


@given(known=relations(most=5))
def test_equal_texts_on_both_sides_are_ignored_whatever_was_judged(known):
    equal = known.anchor_ids[:, None] == known.candidate_ids[None, :]
    assert not masks(known).valid[equal].any()


def test_identities_decide_in_a_dense_relevance_too():
    relevance = torch.tensor([[1, 0, 0], [0, 0, 1]])
    found = dense_masks(relevance, candidate_ids=whole([7, 7, 8]))
    assert found.positive.tolist() == [[True, True, False], [False, False, True]]
    found = dense_masks(relevance, anchor_ids=whole([3, 3]))
    assert found.positive.tolist() == [[True, False, True], [True, False, True]]
    assert found.valid.all()


def test_relevance_may_be_of_any_number_type():
    for kind in (torch.bool, torch.int32, torch.float16, torch.float64):
        found = dense_masks(torch.tensor([[1, 0]]).to(kind))
        assert found.positive.tolist() == [[True, False]]


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("anchors", "candidates", "relevance"),
    [((2, 4), (3, 5), (2, 3)), ((2, 4), (3, 4), (3, 2)), ((4,), (3, 4), (1, 3)), ((2, 4), (3, 4), (2,))],
)
def test_wrong_shapes_are_repeated(anchors, candidates, relevance):
    with pytest.raises(ShapeError) as caught:
        InfoNCE()(torch.ones(anchors), torch.ones(candidates), torch.ones(relevance))
    for shape in (anchors, candidates, relevance):
        assert str(shape) in str(caught.value)
    assert "InfoNCE" in str(caught.value)


@pytest.mark.usefixtures("without_annotation_checks")
def test_a_relation_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"anchors \(2, 4\) float32, candidates \(3, 4\) float32, relevance of 1 x 2"):
        InfoNCE()(torch.ones(2, 4), torch.ones(3, 4), relation([[1, None]]))


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("companion", "message"),
    [
        ({"ignored": torch.ones(2, 1, dtype=torch.bool)}, r"ignored must be \(2, 3\)\. Got .* ignored \(2, 1\) bool"),
        ({"anchor_ids": whole([1])}, r"anchor_ids must be \(2,\)\. Got .* anchor_ids \(1,\) int64"),
        ({"candidate_ids": whole([1, 2])}, r"candidate_ids must be \(3,\)\. Got .* candidate_ids \(2,\) int64"),
    ],
)
def test_companions_of_another_shape_are_refused_and_not_broadcast(companion, message):
    with pytest.raises(ShapeError, match=message):
        InfoNCE()(torch.ones(2, 4), torch.ones(3, 4), torch.ones(2, 3), **companion)


def test_a_relation_moves_whole():
    known = relation([[1, None], [None, 1]], ignored=[(0, 1)])
    moved = known.to("cpu")
    assert moved.shape == (2, 2)
    assert np.array_equal(moved.grades.numpy(), known.grades.numpy())
    assert moved.positive_from == known.positive_from
