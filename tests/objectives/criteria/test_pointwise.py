"""The pointwise link and criteria that look at pairs or columns."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import softplus

from nearfar.errors import ConfigError, ShapeError
from nearfar.objectives.criteria.counts import DiceOverlap, SoftCounts
from nearfar.objectives.criteria.distributions import LabelFit, RowDivergence
from nearfar.objectives.criteria.ensemble import RandomSlopes, inverse_box_cox
from nearfar.objectives.criteria.noisy import NoisyLabels
from nearfar.objectives.criteria.pointwise import Pointwise
from nearfar.objectives.criteria.unlabelled import MixedTargets, Unlabelled
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relation

KNOWN = relation([[1, 1, None], [None, 1, None], [None, None, None]], ignored=[(1, 2)])
LOGITS = torch.tensor([[0.5, -1.0, 0.3], [2.0, 0.1, 9.0], [1.0, 1.0, 1.0]], dtype=torch.float64)


def outcome(criterion, logits=LOGITS, known=KNOWN, **fields):
    problem = make_problem("test", torch.eye(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64), known)
    return criterion.outcome(replace(problem, similarity=logits, logits=logits, **fields), Memory({}))


def terms(logits, positive):
    return softplus(torch.tensor([-z if y else z for z, y in zip(logits, positive, strict=True)], dtype=torch.float64))


def numbers(values):
    return pytest.approx([float(value) for value in values])


def test_reductions_of_a_row():
    first, second = terms([0.5, -1.0, 0.3], [1, 1, 0]), terms([2.0, 0.1], [0, 1])
    assert outcome(Pointwise()).losses.tolist() == numbers([first.sum(), second.sum(), 0])
    assert outcome(Pointwise(reduction="mean")).losses.tolist() == numbers([first.mean(), second.mean(), 0])
    assert outcome(Pointwise(reduction="columns")).losses.tolist() == numbers([first.sum() / 3, second.sum() / 3, 0])
    sides = [first[:2].mean() + first[2], second.sum(), 0]
    assert outcome(Pointwise(reduction="sides")).losses.tolist() == numbers(sides)
    assert outcome(Pointwise()).kept.tolist() == [True, True, False]


def test_a_batch_has_one_number_and_every_usable_row_counts():
    every = torch.cat([terms([0.5, -1.0, 0.3], [1, 1, 0]), terms([2.0, 0.1], [0, 1]), terms([1.0] * 3, [0] * 3)])
    whole = outcome(Pointwise(over="batch"))
    assert whole.kept.all()
    assert whole.loss.item() == pytest.approx(every.sum().item())
    assert outcome(Pointwise(over="batch", reduction="mean")).loss.item() == pytest.approx(every.mean().item())
    assert outcome(Pointwise(over="batch", reduction="columns")).loss.item() == pytest.approx(every.sum().item() / 9)
    assert Pointwise(over="batch").scope == "batch"
    assert Pointwise().scope == "rows"


def test_sides_need_a_negative():
    assert outcome(Pointwise(reduction="sides"), known=relation([[1, 1, 1], [1, 0, 0], [0, 0, 0]])).kept.tolist() == [
        False,
        True,
        False,
    ]


def test_grades_are_shares_of_a_positive():
    grades = torch.tensor([[0.25, 2.0, 0.0]] * 3, dtype=torch.float64)
    found = outcome(Pointwise(targets="grades"), grades=grades).losses[0]
    z = LOGITS[0]
    expected = 0.25 * softplus(-z[0]) + 0.75 * softplus(z[0]) + softplus(-z[1]) + softplus(z[2])
    torch.testing.assert_close(found, expected)


def test_weights_of_pairs_rows_and_sides():
    bias = torch.tensor([[5.0, 5.0, -1.0]] * 3, dtype=torch.float64)
    shares = torch.tensor([[0.75, 0.25, 0.0]] * 3, dtype=torch.float64)
    importance = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)
    criterion = Pointwise(reduction="sides", positive_weight=3.0, negative_weight=0.5)
    found = outcome(criterion, bias=bias, shares=shares, importance=importance).losses[0]
    one, two, three = terms([0.5, -1.0, 0.3], [1, 1, 0])
    expected = 2 * (3 * (0.75 * one + 0.25 * two) + 0.5 * torch.exp(torch.tensor(-1.0).double()) * three)
    torch.testing.assert_close(found, expected)


def test_a_focal_factor_may_carry_gradient_and_is_finite_at_the_ends():
    for detach in (True, False):
        logits = torch.tensor([[500.0, -500.0, -500.0]] * 3, requires_grad=True)
        criterion = Pointwise(positive_power=0.5, negative_power=0.5, clip=0.05, detach=detach)
        with torch.autograd.set_detect_anomaly(True):
            outcome(criterion, logits).loss.backward()
        assert torch.isfinite(logits.grad).all()
    slope = []
    for detach in (True, False):
        logits = LOGITS.clone().requires_grad_()
        outcome(Pointwise(positive_power=2.0, detach=detach), logits).loss.backward()
        slope.append(logits.grad)
    assert not torch.allclose(*slope)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pointwise(clip=1.0), "clip must be a number from 0 to below 1"),
        (lambda: Pointwise(negative_power=-1.0), "negative_power must be a number of at least 0"),
        (lambda: Pointwise(reduction="sides", targets="grades"), "reduction must be sum, mean or columns with grades"),
        (lambda: SoftCounts(beta=0.0), "beta must be a number above 0"),
        (lambda: SoftCounts(sharpness=0.0), "sharpness must be"),
        (lambda: DiceOverlap(smoothing=0.0), "smoothing must be a number above 0"),
        (lambda: DiceOverlap(alpha=-1.0), "alpha must be"),
        (lambda: RandomSlopes(power=2.0), "power must be a number from -1 to 1"),
        (lambda: RandomSlopes(period=-1), "period must be a whole number"),
        (lambda: NoisyLabels(width=0), "width must be a whole number above 0"),
        (lambda: Unlabelled(gamma=-1.0), "gamma must be"),
        (lambda: Unlabelled(epsilon=0.0), "epsilon must be"),
        (lambda: MixedTargets(concentration=0.0), "concentration must be"),
        (lambda: RowDivergence(margin=-1.0), "margin must be"),
        (lambda: LabelFit(matrix=((1.0, 2.0), (1.0,))), "matrix must be a list of as many rows"),
    ],
)
def test_settings_are_checked(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Pointwise, "reduction"),
        (Pointwise, "over"),
        (Pointwise, "targets"),
        (SoftCounts, "measure"),
        (DiceOverlap, "form"),
        (DiceOverlap, "over"),
        (NoisyLabels, "form"),
        (NoisyLabels, "flips"),
        (LabelFit, "form"),
    ],
)
def test_words_are_checked(kind, field):
    with pytest.raises(ConfigError, match=f"{field} must be .*, got 'other'"):
        kind(**{field: "other"})


def test_given_flips_are_asked_for_and_trained_ones_are_not():
    assert NoisyLabels(flips="given").needs == {"teacher"}
    assert NoisyLabels().needs == frozenset()
    assert NoisyLabels(flips="given").make_memory(4) is None


def test_a_matrix_of_other_labels_is_refused():
    with pytest.raises(ShapeError, match="there are 3 columns, but the matrix is 1 x 1"):
        outcome(LabelFit(matrix=((1.0,),)))


def test_the_batchs_own_labels_are_the_matrix_when_none_is_given():
    labels = torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=torch.float64)
    covariance = torch.cov(labels.T, correction=0)
    given = LabelFit(matrix=tuple(tuple(row) for row in covariance.tolist()))
    torch.testing.assert_close(outcome(LabelFit()).loss, outcome(given).loss)


def test_rows_are_compared_over_the_columns_that_both_have():
    known = relation([[1, 0, None], [0, 1, None], [None] * 3], ignored=[(0, 2), (1, 2), (2, 0), (2, 1), (2, 2)])
    one, other = torch.softmax(LOGITS[0, :2], dim=0), torch.softmax(LOGITS[1, :2], dim=0)
    divergence = ((one - other) * (one / other).log()).sum()
    found = outcome(RowDivergence(margin=5.0), known=known)
    torch.testing.assert_close(found.loss, 5 - divergence)
    assert found.kept.tolist() == [True, True, False]


def test_inverse_box_cox():
    values = torch.tensor([-3.0, 0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(inverse_box_cox(values, 0.0), values.exp())
    assert inverse_box_cox(values, 0.5).tolist() == [0, 1, 2.25]
    assert inverse_box_cox(values, -1.0).tolist() == [0.25, 1, float("inf")]
