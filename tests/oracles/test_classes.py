"""Objectives over class scores against their equations, identities, closed forms and pytorch-metric-learning."""

import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, normalize

from nearfar.objectives.memory import Table
from nearfar.objectives.named.classes import ALDR, LDR, PFID, UNPG, ArcFace, CompSum, CosFace, NormFace, ZLoss
from nearfar.objectives.named.softmax import InfoNCE
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import Case, cases, check_gradients, check_loss, check_rows, normalised
from tests.oracles.libraries import quiet
from tests.oracles.slow import pairwise, softmax, softmax_extended, statistics

FEW = settings(max_examples=5, deadline=None)
MANY = settings(max_examples=20, deadline=None)


def over_classes(case):
    """The same case with candidates that are no texts of the anchors' side, as class weights are."""
    return Case(case.anchors, case.candidates, replace(case.known, candidate_ids=case.known.candidate_ids + 10_000))


def random_case(known, seed=0, dim=4):
    generator = torch.Generator().manual_seed(seed)
    return Case(*(torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in known.shape), known)


def by_scores(objective, scores, known, **inputs):
    """Row losses as a function of a score matrix, for objectives of dot products."""
    return deepcopy(objective).double().rows(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known, **inputs)


def by_cosines(objective, cosines, known):
    """Row losses as a function of a matrix of cosines to an orthonormal basis; a last dimension fills rows up to 1."""
    rest = (1 - cosines.square().sum(dim=1, keepdim=True)).sqrt()
    basis = torch.eye(cosines.shape[1] + 1, dtype=cosines.dtype)[:-1]
    return objective.rows(torch.cat([cosines, rest], dim=1), basis, known)


def slopes_by_hand(function, arrays, step=1e-6):
    """Central differences of a number of arrays."""
    found = []
    for place, array in enumerate(arrays):
        slope = np.zeros_like(array)
        for at in np.ndindex(*array.shape):
            values = []
            for sign in (1, -1):
                moved = [each.copy() for each in arrays]
                moved[place][at] += sign * step
                values.append(function(*moved))
            slope[at] = (values[0] - values[1]) / (2 * step)
        found.append(slope)
    return found


def slopes(objective, case, **inputs):
    """Gradients of the loss with respect to both sides."""
    sides = [side.clone().requires_grad_() for side in case.vectors]
    deepcopy(objective).double()(*sides, case.known, **inputs).backward()
    return [np.zeros(side.shape) if side.grad is None else side.grad.numpy() for side in sides]


def mean(expected):
    losses, kept = expected
    return float(losses[kept].mean()) if kept.any() else 0.0


# Values and gradients


@MANY
@given(case=cases(), temperature=st.sampled_from([1 / 64, 0.2]), margin=st.sampled_from([0.0, 0.35, 2.0]))
def test_faces_follow_their_equations(case, temperature, margin):
    arrays = case.arrays()
    check_rows(NormFace(temperature=temperature), case, softmax.norm_face(*arrays, temperature=temperature))
    chosen = {"temperature": temperature, "margin": margin}
    check_rows(CosFace(**chosen), case, softmax.cos_face(*arrays, **chosen))
    for gradient in ("exact", "straight_through"):
        check_rows(ArcFace(**chosen, gradient=gradient), case, softmax.arc_face(*arrays, **chosen))


@FEW
@given(case=cases(most=3, dim=3))
def test_gradients_of_faces(case):
    for objective in (NormFace(temperature=0.3), CosFace(temperature=0.3), ArcFace(temperature=0.3)):
        check_gradients(objective, case)


@FEW
@given(case=cases(most=3, dim=3))
def test_a_straight_through_margin_is_a_constant_for_the_gradient(case):
    similarity, positive, valid = case.arrays()
    moved = softmax.with_margin(similarity, positive, "arcface", 0.5) - similarity

    def frozen(anchors, candidates):
        cosines = normalised(anchors) @ normalised(candidates).T
        return mean(softmax.norm_face(cosines + moved, positive, valid, temperature=0.3))

    expected = slopes_by_hand(frozen, [side.numpy() for side in case.vectors])
    found = slopes(ArcFace(temperature=0.3, gradient="straight_through"), case)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@MANY
@given(
    case=cases(),
    base=st.sampled_from(["normface", "cosface", "arcface"]),
    temperature=st.sampled_from([0.05, 0.5]),
    whisker=st.sampled_from([None, 0.0, 0.4, 1.5]),  # at 0.5 a pool of two lies on its own bounds
)
def test_unpg_follows_its_equation(case, base, temperature, whisker):
    case, chosen = over_classes(case), {"base": base, "temperature": temperature, "whisker": whisker, "margin": 0.4}
    vectors = [side.numpy() for side in case.vectors]
    expected = softmax_extended.unpg(*vectors, case.problem.positive.numpy(), case.problem.valid.numpy(), **chosen)
    check_rows(UNPG(**chosen), case, expected)


@FEW
@given(case=cases(most=4, dim=3))
def test_gradients_of_unpg(case):
    check_gradients(UNPG(temperature=0.3), over_classes(case))


@MANY
@given(
    case=cases(),
    temperature=st.sampled_from([0.1, 1.0, 5.0]),
    margin=st.sampled_from([0.0, 0.1, 2.0]),
    normalise=st.booleans(),
)
def test_ldr_follows_its_equation(case, temperature, margin, normalise):
    expected = softmax_extended.ldr(*case.arrays("dot"), temperature=temperature, margin=margin, normalize=normalise)
    check_rows(LDR(temperature=temperature, margin=margin, normalise=normalise), case, expected)


@FEW
@given(case=cases(most=3, dim=3), normalise=st.booleans())
def test_gradients_of_ldr(case, normalise):
    check_gradients(LDR(temperature=0.5, normalise=normalise), case)


@MANY
@given(case=cases(), margin=st.sampled_from([0.0, 0.5]), alpha=st.sampled_from([1.5, 3.0]), normalise=st.booleans())
def test_aldr_follows_its_equation_visit_after_visit(case, margin, alpha, normalise):
    chosen = {"initial_temperature": 0.8, "margin": margin, "alpha": alpha}
    objective = ALDR(**chosen, normalise=normalise).double()
    index, memory = torch.arange(len(case.anchors)) + 2, np.full(20, 0.8)
    for _ in range(3):
        losses, kept, memory = softmax_extended.aldr(
            *case.arrays("dot"), index.numpy(), memory, **chosen, normalize=normalise
        )
        outcome = objective.outcome(*case.vectors, case.known, index=index)
        np.testing.assert_allclose(outcome.losses.numpy(), losses, atol=1e-9)
        assert outcome.kept.tolist() == kept.tolist()
    table = next(module for module in objective.modules() if isinstance(module, Table))
    np.testing.assert_allclose(table.read(index)[0][:, 0].numpy(), memory[2 : 2 + len(index)], atol=1e-9)


def test_the_temperature_of_aldr_carries_no_gradient():
    case, index = random_case(diagonal(3, 4)), torch.arange(3)
    similarity, positive, valid = case.arrays("dot")
    _, _, after = softmax_extended.aldr(similarity, positive, valid, index.numpy(), np.ones(3))

    def frozen(anchors, candidates):
        scores = anchors @ candidates.T
        rows = [
            softmax_extended.ldr(scores[[i]], positive[[i]], valid[[i]], temperature=after[i])[0][0] for i in range(3)
        ]
        return sum(rows) / 3

    expected = slopes_by_hand(frozen, [side.numpy() for side in case.vectors])
    for one, other in zip(slopes(ALDR(), case, index=index), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_aldr_reads_a_temperature_of_its_own_for_every_example_and_stays_within_bounds():
    case, objective = random_case(diagonal(4), dim=6), ALDR(alpha=2.0).double()
    objective(*case.vectors, case.known, index=torch.tensor([3, 0, 9, 1]))
    table = next(module for module in objective.modules() if isinstance(module, Table))
    found = table.read(torch.tensor([3, 0, 9, 1, 5]))[0][:, 0]
    assert found[4] == 1.0
    assert ((found[:4] > 0.5) & (found[:4] < 1.0)).all()
    assert len(found[:4].unique()) == 4


@MANY
@given(case=cases(), exponent=st.sampled_from([0.0, 0.5, 1.0, 1.7, 2.0]), temperature=st.sampled_from([0.5, 1.0]))
def test_comp_sum_follows_its_equation(case, exponent, temperature):
    expected = softmax.comp_sum(*case.arrays("dot"), tau=exponent, temperature=temperature)
    check_rows(CompSum(exponent=exponent, temperature=temperature), case, expected)


@FEW
@given(case=cases(most=3, dim=3), exponent=st.sampled_from([0.0, 1.0, 1.7, 2.0]))
def test_gradients_of_comp_sum(case, exponent):
    check_gradients(CompSum(exponent=exponent), case)


@MANY
@given(case=cases(), sharpness=st.sampled_from([0.5, 1.0, 4.0]), margin=st.sampled_from([0.0, 1.0, 3.0]))
def test_z_loss_follows_its_equation(case, sharpness, margin):
    expected = statistics.z_loss(*case.arrays("dot"), sharpness=sharpness, margin=margin)
    check_rows(ZLoss(sharpness=sharpness, margin=margin), case, expected)


@FEW
@given(case=cases(most=4, dim=3))
def test_gradients_of_z_loss(case):
    check_gradients(ZLoss(), case)


@MANY
@given(
    labels=st.lists(st.integers(0, 2), min_size=1, max_size=6),
    seed=st.integers(0, 1000),
    margin=st.sampled_from([0.1, 2.0]),
)
def test_pfid_follows_its_equation(labels, seed, margin):
    case = random_case(relation([[1 if k == label else 0 for k in range(3)] for label in labels]), seed)
    expected = pairwise.pfid(case.arrays("dot")[0], labels, margin=margin, beta=0.3)
    check_loss(PFID(margin=margin, beta=0.3), case, expected)


@FEW
@given(case=cases(most=3, dim=3))
def test_gradients_of_pfid(case):
    check_gradients(PFID(beta=0.5), case)


# Identities


@FEW
@given(case=cases())
def test_without_a_margin_faces_are_normface_and_a_margin_raises_the_loss(case):
    plain = NormFace(temperature=0.1).rows(*case.vectors, case.known)
    for face in (CosFace, ArcFace):
        torch.testing.assert_close(face(temperature=0.1, margin=0.0).rows(*case.vectors, case.known), plain)
        assert (face(temperature=0.1, margin=0.3).rows(*case.vectors, case.known) >= plain - 1e-12).all()


@pytest.mark.parametrize(("gradient", "cosine"), [("exact", 0.3), ("exact", -0.6), ("straight_through", 0.3)])
def test_slope_of_an_angular_margin(gradient, cosine):
    scores = torch.tensor([[cosine, 0.1]], dtype=torch.float64, requires_grad=True)
    objective = ArcFace(temperature=0.5, margin=0.5, gradient=gradient)
    loss = by_cosines(objective, scores, diagonal(1, 2)).sum()
    loss.backward()
    theta = math.acos(cosine)
    share = 1 - math.exp(-loss.item())
    slope = math.sin(theta + 0.5) / math.sin(theta) if gradient == "exact" else 1.0
    assert scores.grad[0, 0].item() == pytest.approx(-share * slope / 0.5, rel=1e-9)
    assert scores.grad[0, 1].item() == pytest.approx(share / 0.5, rel=1e-9)


def test_an_angle_beyond_pi_lowers_the_cosine_instead():
    scores = torch.tensor([[-0.95, 0.0]], dtype=torch.float64)
    found = by_cosines(ArcFace(temperature=1.0, margin=0.5), scores, diagonal(1, 2))
    expected = by_cosines(CosFace(temperature=1.0, margin=0.5 * math.sin(0.5)), scores, diagonal(1, 2))
    torch.testing.assert_close(found, expected)


@FEW
@given(case=cases())
def test_unpg_is_never_below_its_base_and_is_it_for_an_empty_pool(case):
    case = over_classes(case)
    base = CosFace(margin=0.2, temperature=0.1).rows(*case.vectors, case.known)
    pooled = UNPG(base="cosface", margin=0.2, temperature=0.1).rows(*case.vectors, case.known)
    assert (pooled >= base - 1e-12).all()
    alone = Case(case.anchors[:1], case.candidates, diagonal(1, len(case.candidates)))
    one = UNPG(base="cosface", margin=0.2, temperature=0.1).rows(*alone.vectors, alone.known)
    torch.testing.assert_close(one, CosFace(margin=0.2, temperature=0.1).rows(*alone.vectors, alone.known))


def test_a_pooled_pair_pushes_by_its_share_in_every_row():
    generator = torch.Generator().manual_seed(1)
    anchors = normalize(torch.randn(3, 5, generator=generator, dtype=torch.float64), dim=1)
    classes = normalize(torch.randn(3, 5, generator=generator, dtype=torch.float64), dim=1)
    step, t = 1e-6, 0.5

    def losses(extra):
        cosines, pairs = anchors @ classes.T / t, (anchors @ anchors.T)[[0, 0, 1], [1, 2, 2]] / t
        pairs = pairs + torch.tensor([extra / t, 0, 0], dtype=torch.float64)
        rows = torch.cat([cosines, pairs.expand(3, 3)], dim=1)
        return torch.logsumexp(rows, dim=1) - cosines.diagonal(), torch.softmax(rows, dim=1)[:, 3]

    torch.testing.assert_close(
        UNPG(base="normface", temperature=t, whisker=None).rows(anchors, classes, diagonal(3)), losses(0.0)[0]
    )
    slope = (losses(step)[0].mean() - losses(-step)[0].mean()) / (2 * step)
    assert slope.item() == pytest.approx((losses(0.0)[1].sum() / (3 * t)).item(), rel=1e-6)


def test_ldr_at_one_without_margin_is_the_cross_entropy_less_log_k():
    case = random_case(diagonal(4, 6))
    scores = case.anchors @ case.candidates.T
    expected = cross_entropy(scores, torch.arange(4), reduction="none") - math.log(6)
    torch.testing.assert_close(LDR(margin=0.0).rows(*case.vectors, case.known), expected)


def test_ldr_has_the_largest_and_the_mean_margin_as_its_limits():
    case = random_case(diagonal(4, 6))
    scores = case.anchors @ case.candidates.T
    brackets = scores - scores.diagonal()[:, None] + 0.5 * (1 - torch.eye(4, 6, dtype=torch.float64))
    cold = LDR(margin=0.5, temperature=1e-5).rows(*case.vectors, case.known)
    torch.testing.assert_close(cold, brackets.amax(dim=1), atol=1e-4, rtol=0)
    hot = LDR(margin=0.5, temperature=1e7).rows(*case.vectors, case.known)
    torch.testing.assert_close(hot, brackets.mean(dim=1), atol=1e-5, rtol=0)


def test_aldr_with_a_uniform_row_is_ldr_at_the_initial_temperature():
    scores = torch.full((1, 3), 0.2, dtype=torch.float64)
    found = by_scores(ALDR(margin=0.0, initial_temperature=0.7), scores, diagonal(1, 3), index=torch.tensor([0]))
    assert found.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (0.0, lambda p: 1 / p - 1),
        (1.0, lambda p: -torch.log(p)),
        (1.4, lambda p: (1 - p**0.4) / 0.4),
        (2.0, lambda p: 1 - p),
    ],
)
def test_members_of_the_comp_sum_family(exponent, expected):
    case = random_case(diagonal(4, 6))
    sure = torch.softmax(case.anchors @ case.candidates.T, dim=1).diagonal()
    torch.testing.assert_close(CompSum(exponent=exponent).rows(*case.vectors, case.known), expected(sure))


def test_slope_of_comp_sum():
    scores = random_case(diagonal(2, 4)).anchors.requires_grad_()
    by_scores(CompSum(exponent=0.4), scores, diagonal(2, 4)).sum().backward()
    shares = torch.softmax(scores.detach(), dim=1)
    target = torch.eye(2, 4, dtype=torch.float64)
    expected = shares.diagonal()[:, None] ** (0.4 - 1) * (shares - target)
    torch.testing.assert_close(scores.grad, expected)


@FEW
@given(factor=st.floats(0.2, 5), shift=st.floats(-3, 3), seed=st.integers(0, 100))
def test_z_loss_knows_neither_scale_nor_shift_and_its_gradient_is_orthogonal_to_both(factor, shift, seed):
    scores = random_case(diagonal(3, 4), seed).anchors.requires_grad_()
    losses = by_scores(ZLoss(), scores, diagonal(3, 4))
    torch.testing.assert_close(by_scores(ZLoss(), scores * factor + shift, diagonal(3, 4)), losses)
    losses.sum().backward()
    torch.testing.assert_close(scores.grad.sum(dim=1), torch.zeros(3, dtype=torch.float64), atol=1e-10, rtol=0)
    along = (scores.grad * scores.detach()).sum(dim=1)
    torch.testing.assert_close(along, torch.zeros(3, dtype=torch.float64), atol=1e-10, rtol=0)


def test_a_row_reaches_at_most_the_root_of_its_columns_in_deviations():
    scores = torch.tensor([[100.0, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    best = by_scores(ZLoss(), scores, diagonal(1, 5)).item()
    assert best == pytest.approx(math.log1p(math.exp(1 - math.sqrt(4))))


def test_pfid_of_equal_rows_is_zero_for_one_class_and_the_margin_for_two():
    scores = torch.tensor([[1.0, 0.5], [1.0, 0.5]], dtype=torch.float64)
    for known, extra in ((relation([[1, 0], [1, 0]]), 0.0), (relation([[1, 0], [0, 1]]), 2.0)):
        total = by_scores(PFID(beta=1.0), scores, known).mean() - by_scores(PFID(beta=0.0), scores, known).mean()
        assert total.item() == pytest.approx(extra, abs=1e-12)


# Trained class weights


def test_trained_classes_are_the_candidates_of_the_same_vectors():
    generator = torch.Generator().manual_seed(3)
    anchors = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([2, 0, -1, 1, 2])
    objective = CosFace(classes=3).prepare(4).double()
    weights = next(each for each in objective.parameters() if each.shape == (3, 4))
    outcome = objective.outcome(anchors, anchors, diagonal(5), labels=labels)
    known = relation([[1 if k == label else 0 for k in range(3)] for label in labels.tolist()])
    torch.testing.assert_close(outcome.losses, CosFace().rows(anchors, weights.detach(), known))
    assert outcome.kept.tolist() == [True, True, False, True, True]
    outcome.loss.backward()
    assert (weights.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize(
    "objective", [LDR(classes=3), ALDR(classes=3), PFID(classes=3), UNPG(classes=3), ZLoss(classes=3)]
)
def test_a_row_without_a_class_has_no_loss_and_changes_no_other(objective):
    generator = torch.Generator().manual_seed(3)
    anchors = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    labels, index = torch.tensor([2, -1, 0]), torch.arange(3)
    few, every = deepcopy(objective).double(), deepcopy(objective).double()
    beside = {"labels": labels, "index": index}
    outcome = every.outcome(anchors, anchors, diagonal(3), **beside)
    assert outcome.losses[1] == 0
    assert outcome.kept.tolist() == [True, False, True]
    rest = {name: value[[0, 2]] for name, value in beside.items()}
    found = few.outcome(anchors[[0, 2]], anchors[[0, 2]], diagonal(2), **rest)
    torch.testing.assert_close(found.losses, outcome.losses[[0, 2]])


# Parity


@pytest.mark.parametrize("name", ["NormalizedSoftmaxLoss", "CosFaceLoss", "ArcFaceLoss"])
def test_pytorch_metric_learning_computes_the_same_loss_and_gradient(name):
    """Their ArcFace counts its margin in degrees, and their losses take scales and columns of weights."""
    with quiet():
        from pytorch_metric_learning import losses
    generator = torch.Generator().manual_seed(5)
    anchors, weights = (torch.randn(size, 4, generator=generator, dtype=torch.float64) for size in (6, 3))
    labels = torch.tensor([0, 2, 1, 1, 0, 2])
    if name == "NormalizedSoftmaxLoss":
        theirs, ours = losses.NormalizedSoftmaxLoss(3, 4, temperature=0.05), NormFace(temperature=0.05)
    elif name == "CosFaceLoss":
        theirs, ours = losses.CosFaceLoss(3, 4, margin=0.35, scale=64), CosFace()
    else:
        theirs, ours = losses.ArcFaceLoss(3, 4, margin=math.degrees(0.5), scale=64), ArcFace()
    one, other = anchors.clone().requires_grad_(), anchors.clone().requires_grad_()
    theirs.double().W.data = weights.T.clone()
    expected = theirs(one, labels)
    expected.backward()
    classes = weights.clone().requires_grad_()
    known = relation([[1 if k == label else 0 for k in range(3)] for label in labels.tolist()])
    found = ours(other, classes, known)
    found.backward()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(other.grad, one.grad, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(classes.grad, theirs.W.grad.T, rtol=1e-5, atol=1e-6)


def test_normface_with_one_label_a_row_is_info_nce():
    case = random_case(diagonal(4, 6))
    torch.testing.assert_close(
        NormFace(temperature=0.05).rows(*case.vectors, case.known),
        InfoNCE(temperature=0.05).rows(*case.vectors, case.known),
    )
