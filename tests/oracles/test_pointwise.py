"""Objectives that judge pairs one by one, against their equations, identities and closed forms."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from nearfar.objectives.criteria.noisy import FlipLogits
from nearfar.objectives.form import Composition
from nearfar.objectives.logits.against import AgainstGuide
from nearfar.objectives.logits.kernel import student
from nearfar.objectives.logits.temperature import LearnedScale, Temperature
from nearfar.objectives.named.pointwise import CLIPN, SFT, NoisyLabel, SelfAdversarial, SigLIP, SoftContrast
from nearfar.objectives.objective import Objective
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import Case, cases, check_gradients, check_loss, check_rows
from tests.oracles.slow import pairwise, pointwise
from tests.oracles.test_classes import by_scores, mean, random_case, slopes, slopes_by_hand

FEW = settings(max_examples=5, deadline=None)
MANY = settings(max_examples=20, deadline=None)


def numbers(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def distances(case):
    """Minus the Euclidean distances, positives and usable pairs."""
    return -np.linalg.norm(case.anchors.numpy()[:, None] - case.candidates.numpy()[None], axis=2), *case.arrays()[1:]


# SigLIP and SFT


@MANY
@given(case=cases(), temperature=st.sampled_from([0.1, 0.5]), bias=st.sampled_from([-10.0, 0.0, 1.0]))
def test_siglip_follows_its_equation(case, temperature, bias):
    held = math.exp(float(np.float32(math.log(temperature))))  # a trained number is a single
    expected = pointwise.siglip(*case.arrays(), temperature=held, bias=bias)
    check_rows(SigLIP(temperature=temperature, bias=bias), case, expected)


@FEW
@given(case=cases(most=3, dim=3))
def test_gradients_of_siglip(case):
    check_gradients(SigLIP(bias=-1.0), case)


def test_siglip_of_similarities_of_zero():
    anchors, candidates = torch.eye(10, dtype=torch.float64)[:5], torch.eye(10, dtype=torch.float64)[5:]
    losses = SigLIP().double().rows(anchors, candidates, diagonal(5))
    expected = math.log1p(math.exp(10)) + 4 * math.log1p(math.exp(-10))
    assert losses.tolist() == pytest.approx([expected] * 5, rel=1e-12)


def test_slopes_of_siglip_reach_scores_temperature_and_bias():
    case, objective = random_case(diagonal(3)), SigLIP(temperature=0.5, bias=-1.0).double()
    trained = next(each for each in objective.modules() if isinstance(each, LearnedScale))
    objective(*case.vectors, case.known).backward()
    scores = torch.tensor(case.arrays()[0])
    wrong = (torch.sigmoid(scores / 0.5 - 1) - torch.eye(3, dtype=torch.float64)) / 3
    torch.testing.assert_close(trained.bias.grad, wrong.sum())
    torch.testing.assert_close(trained.log_scale.grad, (wrong * scores / 0.5).sum())


@MANY
@given(case=cases(), weighting=st.sampled_from(["sigmoid", "softmax"]), temperature=st.sampled_from([0.5, 1.0]))
def test_sft_follows_its_equation(case, weighting, temperature):
    expected = pointwise.sft(*case.arrays("dot"), weighting=weighting, temperature=temperature)
    check_rows(SFT(weighting=weighting, temperature=temperature), case, expected)


@FEW
@given(case=cases(most=3, dim=3), weighting=st.sampled_from(["sigmoid", "softmax"]))
def test_gradients_of_sft(case, weighting):
    check_gradients(SFT(weighting=weighting), case)


@pytest.mark.parametrize("weighting", ["sigmoid", "softmax"])
def test_the_gradient_of_sft_is_a_weight_times_a_direction(weighting):
    known = relation([[1, None, 1, 0], [None, 1, None, None]])
    scores = numbers(0, 2, 4).requires_grad_()
    by_scores(SFT(weighting=weighting, temperature=0.5), scores, known).sum().backward()
    case = Case(scores.detach(), torch.eye(4, dtype=torch.float64), known)
    weight, direction = pointwise.sft_weight_direction(*case.arrays("dot"), weighting=weighting, temperature=0.5)
    np.testing.assert_allclose(scores.grad.numpy(), weight * direction, atol=1e-12)
    assert (scores.grad.sum(dim=1).abs() < 1e-12).all() == (weighting == "softmax")


# CLIPN


@MANY
@given(case=cases(), temperature=st.sampled_from([0.05, 0.5]), seed=st.integers(0, 100))
def test_clipn_follows_its_equation(case, temperature, seed):
    no = numbers(seed, *case.candidates.shape)
    vectors = (each.numpy() for each in (case.anchors, case.candidates, no))
    _, positive, valid = case.arrays()
    expected = pointwise.clipn(*vectors, positive, valid, temperature=temperature)
    check_loss(CLIPN(temperature=temperature), case, expected, guide_candidates=no)


@FEW
@given(case=cases(most=3, dim=3))
def test_gradients_of_clipn_reach_the_no_texts_too(case):
    no = numbers(1, *case.candidates.shape)
    check_gradients(CLIPN(temperature=0.5), case, guide_candidates=no)
    objective, no = CLIPN(temperature=0.5).double(), no.requires_grad_()
    assert torch.autograd.gradcheck(lambda text: objective(*case.vectors, case.known, guide_candidates=text), (no,))


def test_a_yes_against_a_no_is_the_softmax_of_the_two():
    case, no = random_case(diagonal(3)), numbers(2, 3, 4)
    problem = (
        Objective(
            Composition(criterion=SigLIP().form.form.criterion, logits=(AgainstGuide(), Temperature(temperature=0.2)))
        )
        .outcome(*case.vectors, case.known, guide_candidates=no)
        .problems[0]
    )
    unit = torch.nn.functional.normalize
    yes, against = (unit(case.anchors) @ unit(each).T / 0.2 for each in (case.candidates, no))
    torch.testing.assert_close(torch.sigmoid(problem.z), torch.softmax(torch.stack([yes, against]), dim=0)[0])


@pytest.mark.parametrize(("sign", "expected"), [(-1, 2 - math.sqrt(4.0001)), (1, 1.99)])
def test_no_texts_are_pushed_to_the_opposite_end(sign, expected):
    case = random_case(diagonal(3))
    found = CLIPN().outcome(*case.vectors, case.known, guide_candidates=sign * case.candidates)
    assert found.terms["1 Opposite"].item() == pytest.approx(expected, abs=1e-9)


# SoftContrast


@MANY
@given(
    size=st.integers(1, 4),
    seed=st.integers(0, 1000),
    freedoms=st.sampled_from([(100.0, 10.0), (3.0, 5.0)]),
)
def test_soft_contrast_follows_its_equation(size, seed, freedoms):
    case, guides = random_case(diagonal(size), seed), (numbers(seed + 1, size, 3), numbers(seed + 2, size, 3))
    partner = [*range(size, 2 * size), *range(size)]
    chosen = dict(zip(("input_freedom", "output_freedom"), freedoms, strict=True))
    features, vectors = torch.cat(guides).numpy(), torch.cat(case.vectors).numpy()
    expected = pointwise.soft_contrast(features, vectors, partner, **chosen)
    beside = dict(zip(("guide_anchors", "guide_candidates"), guides, strict=True))
    check_loss(SoftContrast(**chosen), case, expected, **beside)


@FEW
@given(case=cases(most=3, dim=3))
def test_gradients_of_soft_contrast(case):
    beside = {
        "guide_anchors": numbers(1, len(case.anchors), 3),
        "guide_candidates": numbers(2, len(case.candidates), 3),
    }
    check_gradients(SoftContrast(), case, **beside)


def test_soft_contrast_is_lowest_where_memberships_agree():
    """With the kernel of the guide on both sides, vectors equal to the guide are at a minimum but for the positives."""
    guide = (numbers(1, 3, 4), numbers(2, 3, 4))
    objective = SoftContrast(output_freedom=100.0, output_sigma=10.0).double()
    problem = objective.outcome(*guide, diagonal(3), guide_anchors=guide[0], guide_candidates=guide[1]).problems[0]
    others = problem.valid & ~problem.positive
    torch.testing.assert_close(torch.sigmoid(problem.z)[others], problem.grades[others])
    assert (problem.grades[problem.positive] > 0.99).all()
    torch.testing.assert_close(problem.grades, problem.grades.T)


def test_the_kernel_stays_below_one():
    near = student(torch.zeros(1, 1, dtype=torch.float64), 10.0, 1.0).item()
    assert 2 * near - near**2 == pytest.approx(0.99758, abs=5e-6)


# SelfAdversarial


@MANY
@given(case=cases(), gamma=st.sampled_from([0.0, 2.0, 12.0]), temperature=st.sampled_from([0.5, 1.0, 1e9]))
def test_self_adversarial_follows_its_equation(case, gamma, temperature):
    expected = pairwise.self_adversarial(*distances(case), gamma=gamma, temperature=temperature)
    check_rows(SelfAdversarial(gamma=gamma, temperature=temperature), case, expected)


def test_a_high_temperature_weighs_negatives_equally():
    case = random_case(diagonal(3, 5))
    similarity, positive, valid = distances(case)
    uniform = pairwise.self_adversarial(similarity, positive, valid, gamma=2.0, temperature=math.inf)
    check_rows(SelfAdversarial(gamma=2.0, temperature=1e12), case, uniform)


@FEW
@given(case=cases(most=3, dim=3))
def test_the_weights_of_negatives_carry_no_gradient(case):
    _, positive, valid = case.arrays("dot")
    weights = pairwise.self_adversarial_detached(*case.arrays("dot"), gamma=0.5)

    def frozen(anchors, candidates):
        return mean(pairwise.self_adversarial(anchors @ candidates.T, positive, valid, gamma=0.5, detached=weights))

    expected = slopes_by_hand(frozen, [side.numpy() for side in case.vectors])
    for one, other in zip(slopes(SelfAdversarial(gamma=0.5, similarity="dot"), case), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_a_negative_is_pushed_by_its_weight():
    scores = numbers(4, 1, 4).requires_grad_()
    by_scores(SelfAdversarial(gamma=0.7, similarity="dot"), scores, diagonal(1, 4)).sum().backward()
    weights = torch.softmax(scores.detach()[0, 1:], dim=0)
    assert weights.sum().item() == pytest.approx(1)
    torch.testing.assert_close(scores.grad[0, 1:], weights * torch.sigmoid(0.7 + scores.detach()[0, 1:]) / 2)


# NoisyLabel


@MANY
@given(case=cases(), form=st.sampled_from(["surrogate", "likelihood"]), seed=st.integers(0, 100))
def test_noisy_label_follows_its_equation(case, form, seed):
    flip = numbers(seed, *case.known.shape)
    expected = pointwise.noisy_label(*_flipped(case, flip), variant=form, temperature=0.5)
    check_rows(NoisyLabel(form=form, flips="given", temperature=0.5), case, expected, teacher=flip)


@pytest.mark.parametrize("form", ["surrogate", "likelihood"])
def test_slopes_of_noisy_label(form):
    """The closed forms of the specification; those of the surrogate are the gradient of no function."""
    known = relation([[1, None, 1, 0], [None, 1, None, None]])
    scores, flip = numbers(0, 2, 4).requires_grad_(), numbers(1, 2, 4).requires_grad_()
    by_scores(NoisyLabel(form=form, flips="given", temperature=0.5), scores, known, teacher=flip).sum().backward()
    case = Case(scores.detach(), torch.eye(4, dtype=torch.float64), known)
    by_score, by_flip = pointwise.noisy_label_gradients(*_flipped(case, flip.detach()), variant=form, temperature=0.5)
    np.testing.assert_allclose(scores.grad.numpy(), by_score, atol=1e-12)
    np.testing.assert_allclose(flip.grad.numpy(), by_flip, atol=1e-12)
    if form == "surrogate":
        gam, right = torch.sigmoid(flip.detach()), torch.sigmoid(scores.detach() / 0.5)
        positive = torch.tensor(case.arrays("dot")[1])
        by_hand = torch.where(positive, (1 - gam) * (1 - right), gam * (1 - right) - right) / 0.5
        torch.testing.assert_close(scores.grad, -by_hand)
        torch.testing.assert_close(flip.grad, -torch.where(positive, -gam * right, (1 - gam) * right))


@FEW
@given(case=cases(most=3, dim=3))
def test_gradients_of_the_likelihood(case):
    flip = numbers(1, *case.known.shape)
    check_gradients(NoisyLabel(form="likelihood", flips="given"), case, teacher=flip)


def test_the_surrogate_is_no_gradient_field():
    def slope(score, flip, of):
        scores = torch.tensor([[score, 5.0]], dtype=torch.float64, requires_grad=True)
        flips = torch.tensor([[flip, 0.0]], dtype=torch.float64, requires_grad=True)
        by_scores(NoisyLabel(flips="given"), scores, diagonal(1, 2), teacher=flips).sum().backward()
        return {"score": scores, "flip": flips}[of].grad[0, 0].item()

    h = 1e-5
    across = (slope(-2.0, -0.5 + h, "score") - slope(-2.0, -0.5 - h, "score")) / (2 * h)
    back = (slope(-2.0 + h, -0.5, "flip") - slope(-2.0 - h, -0.5, "flip")) / (2 * h)
    assert abs(across - back) > 0.1


def test_without_flips_the_likelihood_is_binary_cross_entropy():
    case = random_case(diagonal(3, 5))
    flip = torch.full((3, 5), -50.0, dtype=torch.float64)
    found = NoisyLabel(form="likelihood", flips="given").rows(*case.vectors, case.known, teacher=flip)
    torch.testing.assert_close(found, SFT().rows(*case.vectors, case.known))
    logits, target = case.anchors @ case.candidates.T, torch.eye(3, 5, dtype=torch.float64)
    torch.testing.assert_close(found, binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=1))


def test_trained_flip_logits_learn_and_leave_the_vectors_alone():
    case, objective = random_case(diagonal(3, 5)), NoisyLabel().prepare(4).double()
    flips = next(each for each in objective.modules() if isinstance(each, FlipLogits))
    given = flips(*case.vectors).detach()
    assert given.mean() < -2
    for one, other in zip(slopes(objective, case), slopes(NoisyLabel(flips="given"), case, teacher=given), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    objective(*case.vectors, case.known).backward()
    assert all((each.grad != 0).any() for each in objective.parameters())


def _flipped(case, flip):
    similarity, positive, valid = case.arrays("dot")
    return similarity, flip.numpy(), positive, valid


def test_a_softplus_is_what_a_positive_pays():
    scores = torch.tensor([[0.4, -3.0]], dtype=torch.float64)
    found = deepcopy(SFT())(scores, torch.eye(2, dtype=torch.float64), diagonal(1, 2))
    assert found.item() == pytest.approx((softplus(torch.tensor(-0.4)) + softplus(torch.tensor(-3.0))).item(), rel=1e-6)
