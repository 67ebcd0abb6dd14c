"""Log-sums over what is strictly below, ranks with ties, and all pairs of a batch as one list."""

import time
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives.criteria.discounts import ranks_of
from nearfar.objectives.criteria.one_list import OneList
from nearfar.objectives.criteria.ordered_pairs import OrderedPairs, below_and_above, log_mass_below
from nearfar.objectives.criteria.rows import front, ideal_gain
from nearfar.objectives.criteria.soft_rank import SoftRank
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relation


def outcome(criterion, logits, known):
    problem = make_problem("test", torch.eye(len(logits)), torch.ones(logits.shape[1], len(logits)), known)
    return criterion.outcome(replace(problem, similarity=logits, logits=logits), Memory({}))


@st.composite
def lists(draw):
    rows, items = draw(st.integers(1, 3)), draw(st.integers(1, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    logits = 5 * torch.randn(rows, items, generator=generator, dtype=torch.float64)
    order = torch.randint(-2, 3, (rows, items), generator=generator).double()
    return logits, order, torch.rand(rows, items, generator=generator) < 0.7


@settings(max_examples=60, deadline=None)
@given(drawn=lists())
def test_the_mass_below_is_that_of_a_loop(drawn):
    logits, order, known = drawn
    mass, some = log_mass_below(logits, order, known)
    below, above = below_and_above(order, known)
    for row in range(len(logits)):
        for item in range(logits.shape[1]):
            under = known[row] & (order[row] < order[row, item])
            assert some[row, item] == (known[row, item] & under.any())
            if known[row, item]:
                assert below[row, item] == under.sum()
                assert above[row, item] == (known[row] & (order[row] > order[row, item])).sum()
            if some[row, item]:
                torch.testing.assert_close(mass[row, item], torch.logsumexp(logits[row][under], dim=0))
            else:
                assert mass[row, item] == 0


@settings(max_examples=10, deadline=None)
@given(drawn=lists())
def test_the_mass_below_has_the_gradient_of_finite_differences(drawn):
    logits, order, known = drawn
    assert torch.autograd.gradcheck(lambda z: log_mass_below(z, order, known)[0], logits.requires_grad_())


def test_the_mass_below_keeps_what_another_item_outweighs():
    logits = torch.tensor([[-200.0, 300.0, 0.0]], requires_grad=True)
    mass, _ = log_mass_below(logits, torch.tensor([[0.0, 2.0, 1.0]]), torch.ones(1, 3, dtype=torch.bool))
    assert mass[0, 2] == -200
    assert mass[0, 1] == 0
    (gradient,) = torch.autograd.grad(mass[0, 2], logits)
    assert gradient.tolist() == [[1, 0, 0]]


def test_many_pairs_take_no_square_of_time_or_memory():
    size = 200_000
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(1, size, generator=generator).requires_grad_()
    grades = torch.rand(1, size, generator=generator)
    problem = make_problem("test", torch.ones(1, 1), torch.ones(size, 1), grades)
    problem = replace(problem, similarity=scores, logits=20 * scores)
    start = time.perf_counter()
    loss = OneList(of=OrderedPairs()).outcome(problem, Memory({})).loss
    loss.backward()
    assert time.perf_counter() - start < 10
    assert torch.isfinite(scores.grad).all()
    assert scores.grad.sum().abs() < 1e-3


def test_the_rows_of_ordered_pairs_stand_alone():
    logits = torch.tensor([[0.3, 0.9, -2.0], [1.0, 2.0, 3.0]])
    found = outcome(OrderedPairs(), logits, relation([[2, 1, 1], [1, 1, 1]]))
    expected = torch.log1p(torch.exp(logits[0, 1:] - logits[0, 0]).sum())
    torch.testing.assert_close(found.losses, torch.stack([expected, torch.tensor(0.0)]))
    assert found.kept.tolist() == [True, False]


def test_one_list_holds_the_judged_pairs_of_all_rows():
    logits = torch.tensor([[3.0, 1.0, 9.0], [2.0, 0.0, 9.0]])
    known = relation([[1, 0, None], [0, 1, None]])
    found = outcome(OneList(of=SoftRank()), 1000 * logits, known)
    # In order: 3 (relevant), 2, 1, 0 (relevant): precision 1 and 2/4.
    assert found.losses.tolist() == pytest.approx([0.25, 0.25])
    with_the_rest = outcome(OneList(of=SoftRank(), unjudged="negative"), 1000 * logits, known)
    assert with_the_rest.losses[0].item() == pytest.approx(1 - (1 / 3 + 2 / 6) / 2)


def test_one_list_without_pairs_or_without_anything_to_say_counts_nobody():
    logits = torch.zeros(2, 2, requires_grad=True)
    for known in (relation([[None, None], [None, None]]), relation([[2, None], [None, 2]])):
        found = outcome(OneList(of=OrderedPairs()), logits, known)
        assert not found.kept.any()
        assert found.loss == 0
        assert torch.count_nonzero(torch.autograd.grad(found.loss, logits)[0]) == 0


def test_ranks_are_those_of_known_columns_and_equal_scores_keep_their_order():
    scores = torch.tensor([[0.5, 0.9, 0.5, 1.0]])
    known = torch.tensor([[True, True, True, False]])
    assert ranks_of(scores, known)[0, :3].tolist() == [2, 1, 3]


def test_chosen_columns_come_to_the_front():
    mask = torch.tensor([[False, True, False, True], [True, False, False, False], [False] * 4])
    places, chosen = front(mask)
    assert places[0].tolist() == [1, 3]
    assert places[1, 0] == 0
    assert chosen.tolist() == [[True, True], [True, False], [False, False]]
    assert front(mask[:0])[0].shape == (0, 1)


def test_the_ideal_gain_is_discounted_and_cut_at_the_top():
    gains = torch.tensor([[1.0, 3.0, 7.0]])
    known = torch.tensor([[True, True, False]])
    assert ideal_gain(gains, known).item() == pytest.approx(3 + 1 / 1.5849625)
    assert ideal_gain(gains, known, top=1).item() == pytest.approx(3)
