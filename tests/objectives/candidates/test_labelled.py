"""Both sides by label."""

import torch

from nearfar.objectives.candidates.labelled import LabelledSides
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relation


def apply(grades, labels, **given):
    known = relation(grades, **given)
    rows, columns = known.shape
    problem = make_problem("test", torch.randn(rows, 3), torch.randn(columns, 3), known, labels=torch.tensor(labels))
    return LabelledSides().apply(problem, Memory({}))


def test_texts_of_equal_labels_are_positives_and_grades_say_how_far_labels_are_apart():
    both = apply([[1, None], [None, 1], [None, None]], [1.0, 3.0, 1.0])
    assert both.labels.tolist() == [1, 3, 1, 1, 3]
    assert both.positive.int().tolist() == [
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
        [1, 0, 0, 1, 0],
        [1, 0, 1, 0, 0],
        [0, 1, 0, 0, 0],
    ]
    assert both.grades[0].tolist() == [0, -2, 0, 0, -2]
    assert not both.valid.diagonal().any()


def test_a_candidate_that_belongs_to_nobody_has_no_label_and_is_left_out():
    both = apply([[1, None]], [-1])
    assert both.valid.int().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_an_anchor_without_a_finite_label_is_left_out():
    both = apply([[1, None], [None, 1]], [float("nan"), 2.0])
    assert both.valid.any(dim=1).tolist() == [False, True, False, True]
    assert torch.isfinite(both.grades).all()


def test_the_same_text_is_no_column_of_its_own_row():
    both = apply([[1, None], [None, 1]], [1.0, 1.0], anchor_ids=[5, 5])
    assert not both.valid[0, 1]
    assert both.positive[0, 3]


def test_ignored_pairs_stay_out():
    both = apply([[1, None], [None, 1]], [1.0, 1.0], ignored=[(0, 1)])
    assert not both.valid[0, 3]
    assert not both.valid[3, 0]
    assert both.positive[0, 1]
