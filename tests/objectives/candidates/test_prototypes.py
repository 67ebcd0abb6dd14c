"""Means of classes as columns, and both sides against negatives of their own side."""

import torch

from nearfar.objectives.candidates.prototypes import Prototypes
from nearfar.objectives.candidates.same_side import SameSideNegatives
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from nearfar.types import Origin
from tests.objectives.relations import diagonal, relation


def test_prototypes_are_the_means_of_the_classes_of_the_anchors():
    anchors = torch.eye(3)
    candidates = torch.tensor([[1.0, 0, 0], [3, 0, 0], [0, 4, 0], [0, 0, 5]])
    known = relation([[1, 1, None, None], [None, None, 1, None], [1, 1, None, None]])
    problem = make_problem("test", anchors, candidates, known, labels=torch.tensor([7, 3, 7]))
    made = Prototypes().apply(problem, Memory({}))
    assert made.candidates.tolist() == [[0, 4, 0], [2, 0, 0], [0, 0, 5]]
    assert made.positive.tolist() == [[False, True, False], [True, False, False], [False, True, False]]
    assert made.valid.all()
    assert made.origins.tolist() == [Origin.CLASS] * 3


def test_candidates_of_nobody_are_classes_of_their_own():
    problem = make_problem(
        "test", torch.eye(2), torch.eye(2), relation([[None, None]] * 2), labels=torch.tensor([0, 1])
    )
    made = Prototypes().apply(problem, Memory({}))
    assert made.candidates.tolist() == torch.eye(2).tolist()
    assert not made.positive.any()


def test_a_prototype_of_something_that_is_no_negative_is_none():
    known = relation([[1, None, None], [None, 1, None], [None, None, None]], ignored=[(0, 2), (2, 1)])
    problem = make_problem("test", torch.eye(3), torch.eye(3), known, labels=torch.tensor([0, 1, 2]))
    made = Prototypes().apply(problem, Memory({}))
    assert made.candidates.tolist() == torch.eye(3).tolist()
    assert made.valid.tolist() == [[True, True, False], [True, True, True], [True, False, True]]
    assert made.positive.tolist() == [[True, False, False], [False, True, False], [False, False, False]]


def test_negatives_of_the_same_side_and_positives_of_the_other():
    anchors, candidates = torch.eye(3)[:2], torch.eye(3)
    leaf = candidates.clone().requires_grad_()
    made = SameSideNegatives().apply(make_problem("test", anchors, leaf, diagonal(2, 3)), Memory({}))
    assert made.positive.nonzero().tolist() == [[0, 2], [1, 3], [2, 0], [3, 1]]
    assert made.negative.nonzero().tolist() == [[0, 1], [1, 0], [2, 3], [2, 4], [3, 2], [3, 4], [4, 2], [4, 3]]
    assert made.anchors.requires_grad
    assert not made.candidates.requires_grad
    free = SameSideNegatives(frozen=False).apply(make_problem("test", anchors, leaf, diagonal(2, 3)), Memory({}))
    assert free.candidates.requires_grad
