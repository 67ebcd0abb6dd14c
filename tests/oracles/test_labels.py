"""Objectives over many labels and over counted decisions, against their equations and identities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import softplus

from nearfar.objectives.criteria.counts import SoftCounts
from nearfar.objectives.criteria.unlabelled import MixedTargets
from nearfar.objectives.form import Composition
from nearfar.objectives.memory import Draws
from nearfar.objectives.named.labels import AnyLoss, Dice, EnsLoss, LabelCorrelation, MultiFocal, PositiveUnlabelled
from nearfar.objectives.objective import Objective
from nearfar.objectives.synthesis.draws import beta
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import cases, check_gradients, check_loss, check_rows
from tests.oracles.slow import pointwise, statistics
from tests.oracles.test_classes import by_scores, random_case, slopes, slopes_by_hand

FEW = settings(max_examples=5, deadline=None)
MANY = settings(max_examples=20, deadline=None)


def tensors_of(case, scores):
    return torch.tensor(scores), torch.eye(scores.shape[1], dtype=torch.float64)


def every_row_has_a_label(case):
    return case.problem.positive.any(dim=1).all() and case.problem.valid.all()


@st.composite
def labelled(draw, most=5, classes=3, dim=4):
    """Rows with one label or more out of a few classes, all of them known."""
    label = st.lists(st.booleans(), min_size=classes, max_size=classes).filter(any)
    rows = draw(st.lists(label, min_size=1, max_size=most))
    return random_case(relation([[int(each) for each in row] for row in rows]), draw(st.integers(0, 1000)), dim)


# MultiFocal


@MANY
@given(
    case=cases(),
    gammas=st.sampled_from([(0.0, 4.0), (1.0, 3.0), (0.5, 0.0)]),
    clip=st.sampled_from([0.0, 0.05]),
    in_exponent=st.booleans(),
    counted=st.booleans(),
)
def test_multi_focal_follows_its_equation(case, gammas, clip, in_exponent, counted):
    counts = tuple(float(3 * j + 1) for j in range(len(case.candidates))) if counted else None
    chosen = {"gamma_positive": gammas[0], "gamma_negative": gammas[1], "weight_in_exponent": in_exponent, "clip": clip}
    weights = pointwise.frequency_weights(counts, 6) if counted else None
    expected = pointwise.multi_focal(*case.arrays("dot"), weights=weights, temperature=0.7, **chosen)
    check_loss(MultiFocal(**chosen, counts=counts, temperature=0.7), case, expected)


@FEW
@given(case=cases(most=3, dim=3))
def test_focal_factors_carry_no_gradient(case):
    similarity, positive, valid = case.arrays("dot")
    factors = pointwise.multi_focal_detached(similarity, positive, valid, gamma_positive=1.0)

    def frozen(anchors, candidates):
        scores = anchors @ candidates.T
        return pointwise.multi_focal(scores, positive, valid, gamma_positive=1.0, detached=factors)

    expected = slopes_by_hand(frozen, [side.numpy() for side in case.vectors])
    for one, other in zip(slopes(MultiFocal(gamma_positive=1.0), case), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@FEW
@given(case=cases())
def test_without_factors_multi_focal_is_the_sum_of_binary_cross_entropies(case):
    plain = MultiFocal(gamma_negative=0.0, clip=0.0, weight_in_exponent=False)
    problem = case.problem
    logits = case.anchors @ case.candidates.T
    expected = torch.where(problem.valid, softplus(torch.where(problem.positive, -logits, logits)), 0.0).sum()
    check_loss(plain, case, expected.item())


# PositiveUnlabelled


@MANY
@given(case=cases(), alpha=st.sampled_from([0.5, 1.0, 2.0]), gamma=st.sampled_from([0.0, 0.55, 0.85]))
def test_positive_unlabelled_follows_its_equation(case, alpha, gamma):
    expected = pointwise.positive_unlabelled(*case.arrays("dot"), alpha=alpha, gamma=gamma, temperature=2.0)
    check_loss(PositiveUnlabelled(alpha=alpha, gamma=gamma, temperature=2.0), case, expected)


@FEW
@given(case=cases(most=3, dim=3))
def test_deviations_and_mean_probabilities_carry_no_gradient(case):
    similarity, positive, valid = case.arrays("dot")
    fixed = pointwise.positive_unlabelled_detached(similarity, positive, valid)

    def frozen(anchors, candidates):
        return pointwise.positive_unlabelled(anchors @ candidates.T, positive, valid, detached=fixed)

    expected = slopes_by_hand(frozen, [side.numpy() for side in case.vectors])
    for one, other in zip(slopes(PositiveUnlabelled(), case), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_without_a_factor_it_is_the_log_of_the_mean_less_the_mean_of_the_logs():
    scores = 0.1 * random_case(diagonal(3)).anchors[:, :3]
    sure = torch.sigmoid(scores / scores.std(dim=0, correction=0).clamp(max=1))
    expected = sure.mean(dim=0).log().sum() - sure.diagonal().log().sum()
    torch.testing.assert_close(by_scores(PositiveUnlabelled(gamma=0.0), scores, diagonal(3)).mean(), expected)


@MANY
@given(case=labelled(), seed=st.integers(0, 5))
def test_mixed_targets_follow_their_equation(case, seed):
    scores, positive, _ = case.arrays("dot")
    generator = Draws(seed).generator()
    share = beta(generator, (0.3, 0.3), (), torch.tensor(0.0, dtype=torch.float64)).item()
    other = torch.randperm(len(scores), generator=generator).numpy()
    mixed = share * scores + (1 - share) * scores[other]
    expected = pointwise.positive_unlabelled_mixup(
        scores, positive, mixed, range(len(scores)), other, coefficient=share
    )
    check_loss(Objective(Composition(criterion=MixedTargets(seed=seed), similarity="dot")), case, expected)
    total = PositiveUnlabelled(mixup_weight=0.5).double()
    plain = PositiveUnlabelled()(*case.vectors, case.known).item()
    found = total(*case.vectors, case.known).item()
    first = Objective(Composition(criterion=MixedTargets(), similarity="dot")).double()(*case.vectors, case.known)
    assert found == pytest.approx(plain + 0.5 * first.item(), rel=1e-9)


@FEW
@given(case=cases(most=3, dim=3))
def test_gradients_of_mixed_targets(case):
    check_gradients(Objective(Composition(criterion=MixedTargets(), similarity="dot")), case)


def test_a_row_mixed_with_itself_fits_where_it_has_no_labels():
    known = relation([[0, 0, 0], [0, 0, 0]])
    scores = random_case(diagonal(2)).anchors[:1, :3].expand(2, 3)
    objective = Objective(Composition(criterion=MixedTargets(), similarity="dot")).double()
    assert objective(scores, torch.eye(3, dtype=torch.float64), known).item() == pytest.approx(0, abs=1e-12)


# LabelCorrelation


@MANY
@given(
    case=labelled(),
    form=st.sampled_from(["covariance", "agreement"]),
    overlap=st.sampled_from([0.0, 0.5]),
    counts=st.sampled_from([(1.0, 1.0, 1.0), (10.0, 4.0, 1.0)]),
)
def test_label_correlation_follows_its_equation(case, form, overlap, counts):
    similarity, positive, _ = case.arrays("dot")
    matrix = ((0.2, 0.1, 0.0), (0.1, 0.3, -0.1), (0.0, -0.1, 0.2))
    chosen = {"correlation_form": form, "correlation_weight": 0.7, "contrast_weight": 0.3, "overlap": overlap}
    expected = pointwise.label_correlation(
        similarity, positive, case.anchors.numpy(), np.array(matrix), counts, **chosen
    )
    check_loss(LabelCorrelation(counts=counts, correlation=matrix, **chosen), case, expected)


@FEW
@given(case=cases(most=3, dim=3), form=st.sampled_from(["covariance", "agreement"]))
def test_gradients_of_label_correlation(case, form):
    check_gradients(LabelCorrelation(correlation_form=form, contrast_temperature=0.5), case)


def test_probabilities_that_go_together_as_the_matrix_says_fit():
    case = random_case(relation([[1, 0, 1], [0, 1, 0], [1, 1, 0]]), dim=3)
    sure = torch.sigmoid(case.anchors @ case.candidates.T)
    centred = sure - sure.mean(dim=0)
    matrix = tuple(tuple(row) for row in (centred.T @ centred / 3).tolist())
    outcome = LabelCorrelation(correlation=matrix).outcome(*case.vectors, case.known)
    assert outcome.terms["1 LabelFit"].item() == pytest.approx(0, abs=1e-15)


# Dice and AnyLoss


FORMS = st.sampled_from(["self_adjusting", "squared", "tversky"])


@MANY
@given(case=cases(), form=FORMS, alpha=st.sampled_from([0.0, 0.5, 1.0]), smoothing=st.sampled_from([1.0, 0.01]))
def test_dice_follows_its_equation(case, form, alpha, smoothing):
    chosen = {"form": form, "alpha": alpha, "smoothing": smoothing, "temperature": 0.5, "bias": -0.3}
    chosen |= {"false_positive_weight": 0.3, "false_negative_weight": 0.8}
    check_rows(Dice(**chosen), case, statistics.dice(*case.arrays("dot"), **chosen))
    check_loss(Dice(**chosen, level="batch"), case, statistics.dice_of_batch(*case.arrays("dot"), **chosen))


@FEW
@given(case=cases(most=3, dim=3), form=FORMS, level=st.sampled_from(["pairs", "batch"]))
def test_gradients_of_dice(case, form, level):
    check_gradients(Dice(form=form, alpha=0.5, level=level), case)


def one_pair(objective, score, target=1):
    known = relation([[target, 1 - target]])
    scores = torch.tensor([[score, -60.0 if target else 60.0]], dtype=torch.float64)
    return objective(scores, torch.eye(2, dtype=torch.float64), known).item()


def test_dice_of_sure_pairs():
    assert one_pair(Dice(), 60.0) == pytest.approx(0, abs=1e-12)
    # The positive costs 1 / (1 + g) and the negative nothing, over two pairs: confident positives are pushed down.
    assert one_pair(Dice(alpha=1.0, smoothing=0.25), 60.0) == pytest.approx(1 / 1.25 / 2)


@FEW
@given(case=cases(), smoothing=st.sampled_from([0.1, 1.0]))
def test_an_even_tversky_is_dice_with_twice_the_smoothing(case, smoothing):
    one = Dice(form="tversky", smoothing=smoothing).rows(*case.vectors, case.known)
    torch.testing.assert_close(one, Dice(smoothing=2 * smoothing).rows(*case.vectors, case.known))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_a_positive_is_pushed_no_further_than_where_its_damped_probability_peaks(alpha):
    peak = 1 / (1 + alpha)
    for side, sign in ((-0.5, -1), (0.0, 0), (0.5, 1)):
        scores = torch.tensor([[math.log(peak / (1 - peak)) + side]], dtype=torch.float64, requires_grad=True)
        Dice(alpha=alpha)(scores, torch.ones(1, 1, dtype=torch.float64), relation([[1]])).backward()
        assert (0 if abs(scores.grad.item()) < 1e-12 else math.copysign(1, scores.grad.item())) == sign


MEASURES = st.sampled_from(["f_beta", "g_mean", "balanced_accuracy"])


@MANY
@given(case=cases(), measure=MEASURES, weight=st.sampled_from([0.5, 1.0, 2.0]), sharpness=st.sampled_from([5.0, 73.0]))
def test_any_loss_follows_its_equation(case, measure, weight, sharpness):
    chosen = {"measure": measure, "beta": weight, "sharpness": sharpness, "temperature": 0.5, "bias": 0.2}
    expected = statistics.any_loss(*case.arrays("dot"), **chosen)
    check_loss(AnyLoss(**chosen), case, expected)


@FEW
@given(case=cases(most=3, dim=3), measure=MEASURES)
def test_gradients_of_any_loss(case, measure):
    check_gradients(AnyLoss(measure=measure, sharpness=5.0), case)


def test_sure_decisions_give_the_exact_f1():
    scores = torch.tensor([[60.0, 60, -60], [-60, -60, 60], [60, -60, -60]], dtype=torch.float64)
    known = relation([[1, 0, 1], [0, 1, 0], [1, 0, 0]])
    found = by_scores(AnyLoss(), scores, known).mean().item()
    assert found == pytest.approx(1 - 2 * 2 / (2 * 2 + 2 + 2), abs=1e-12)  # 2 hits, 2 misses, 2 alarms


def test_a_decision_is_a_fourth_as_steep_as_sharp():
    scores = torch.tensor([[0.0, -60.0]], dtype=torch.float64, requires_grad=True)
    known = relation([[1, 0]])
    AnyLoss(measure="balanced_accuracy", sharpness=20.0)(scores, torch.eye(2, dtype=torch.float64), known).backward()
    # The probability has slope 1/4 at 0, and the positive is half of the balanced accuracy.
    assert scores.grad[0, 0].item() == pytest.approx(-20 / 4 / 4 / 2)


def test_the_sharpest_decision_that_is_not_yet_sure():
    def decided(sharpness, dtype, p):
        sharp = torch.tensor(sharpness, dtype=dtype)
        return torch.sigmoid(sharp * (torch.tensor(p, dtype=dtype) - 0.5)).item()

    assert decided(73.0, torch.float64, 1.0) < 1.0 == decided(75.0, torch.float64, 1.0)
    assert decided(73.0, torch.float32, 0.74) == 1.0
    assert SoftCounts().sharpness == 73.0


# EnsLoss


@MANY
@given(
    case=cases(), power=st.sampled_from([-0.7, 0.0, 0.6, 1.0]), bias=st.sampled_from([0.0, 2.0]), seed=st.integers(0, 5)
)
def test_ens_loss_follows_its_equation(case, power, bias, seed):
    similarity, positive, valid = case.arrays("dot")
    drawn = torch.randn(similarity.shape, generator=Draws(seed).generator(), dtype=torch.float64).numpy()
    value, slopes_of_margins = statistics.ens_loss(
        similarity, positive, valid, drawn[valid], box_cox=power, temperature=0.5, bias=bias
    )
    objective = EnsLoss(box_cox=power, temperature=0.5, bias=bias, seed=seed)
    check_loss(objective, case, value)
    scores = torch.tensor(similarity, requires_grad=True)
    by_scores(objective, scores, case.known).sum().backward()
    kept = int(valid.any(axis=1).sum())
    sign = np.where(positive, 1.0, -1.0)
    expected = kept * slopes_of_margins * sign / (0.5 * max(int(valid.sum()), 1))  # rows each hold the whole
    np.testing.assert_allclose(scores.grad.numpy(), expected, atol=1e-9)


def test_slopes_are_never_positive_and_rise_with_the_margin():
    scores = torch.linspace(-3, 3, 12, dtype=torch.float64).reshape(3, 4).requires_grad_()
    known = relation([[1] * 4] * 3)
    for seed in range(5):
        scores.grad = None
        by_scores(EnsLoss(seed=seed), scores, known).sum().backward()
        slope = scores.grad.flatten()
        assert (slope < 0).all()
        assert (slope.diff() >= -1e-12).all()


def test_every_call_draws_another_loss_and_a_period_another_power():
    case = random_case(diagonal(4))
    objective = EnsLoss(period=2).double()
    criterion = objective.form.form.criterion
    losses = [objective(*case.vectors, case.known).item() for _ in range(4)]
    assert len(set(losses)) == 4
    powers = [criterion._power(calls) for calls in range(6)]
    assert powers[0] == powers[1] != powers[2] == powers[3] != powers[4]
    assert all(-1 <= power <= 1 for power in powers)
    objective.eval()
    assert objective(*case.vectors, case.known) == objective(*case.vectors, case.known)
