"""Anchors against anchors."""

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.candidates.anchors import SharedPositives
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relation

LABELS = [[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]]


def positives(overlap, **known):
    problem = make_problem("test", torch.eye(5), torch.eye(3, 5), relation(LABELS, **known))
    seen = SharedPositives(overlap=overlap).apply(problem, Memory({}))
    return seen, {tuple(pair) for pair in seen.positive.nonzero().tolist()}


def test_rows_that_share_a_label_belong_together():
    seen, pairs = positives(0.0)
    assert {(i, j) for i, j in pairs if i < j} == {(0, 1), (0, 4), (1, 4), (2, 4)}
    assert pairs == {(j, i) for i, j in pairs}
    assert not seen.valid.diagonal().any()


def test_an_overlap_asks_for_more():
    assert {(i, j) for i, j in positives(0.49)[1] if i < j} == {(0, 1), (0, 4)}  # 1 of 2, 2 of 3
    assert {(i, j) for i, j in positives(0.5)[1] if i < j} == {(0, 4)}


def test_equal_texts_are_left_out():
    seen, pairs = positives(0.0, anchor_ids=[1, 1, 2, 3, 4])
    assert not seen.valid[0, 1]
    assert (0, 1) not in pairs


@pytest.mark.parametrize("overlap", [-0.1, 1.0])
def test_an_overlap_is_a_part(overlap):
    with pytest.raises(ConfigError, match="overlap must be a number from 0 to below 1"):
        SharedPositives(overlap=overlap)
