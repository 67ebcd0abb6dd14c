"""A row for every positive."""

import torch

from nearfar.objectives.candidates.single import EachPositive
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.form import Composition
from nearfar.objectives.memory import Memory
from nearfar.objectives.objective import Objective
from nearfar.objectives.outcomes import gathered
from nearfar.objectives.part import Outcome
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relation

KNOWN = relation([[1, 1, 0], [None, None, None], [None, 1, None]], ignored=[(0, 2)])


def vectors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(2)]


def test_other_positives_of_the_anchor_are_left_out():
    problem = make_problem("test", *vectors(), KNOWN, index=torch.tensor([7, 8, 9]))
    single = EachPositive().apply(problem, Memory({}))
    assert single.source.tolist() == [0, 0, 2]
    assert single.index.tolist() == [7, 7, 9]
    assert single.positive.int().tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert single.valid.int().tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 1]]
    assert single.row_ids.tolist() == problem.row_ids[[0, 0, 2]].tolist()


def test_a_sum_over_positives_is_the_same_with_a_row_for_each():
    plain = Objective(Composition(criterion=Softmax()))
    each = Objective(Composition(criterion=Softmax(others=True), candidates=EachPositive()))
    one, other = plain.outcome(*vectors(), KNOWN), each.outcome(*vectors(), KNOWN)
    torch.testing.assert_close(one.losses, other.losses)
    assert one.kept.tolist() == other.kept.tolist() == [True, False, True]


def test_the_loss_of_an_anchor_is_the_mean_over_its_kept_rows():
    outcome = Outcome(torch.tensor([1.0, 3.0, 100.0, 5.0]), torch.tensor([True, True, False, False]))
    found = gathered(outcome, torch.tensor([2, 2, 2, 0]), 4)
    assert found.losses.tolist() == [0, 0, 2, 0]
    assert found.kept.tolist() == [False, False, True, False]


def test_without_any_positive_the_loss_is_zero_and_can_be_trained():
    sides = [each.requires_grad_() for each in vectors()]
    objective = Objective(Composition(criterion=Softmax(), candidates=EachPositive()))
    loss = objective(*sides, relation([[None] * 3] * 3))
    loss.backward()
    assert loss.item() == 0
    assert all(torch.equal(each.grad, torch.zeros_like(each)) for each in sides)
