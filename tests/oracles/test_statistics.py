"""Batch statistics against their equations, their identities, lightly and pytorch-metric-learning."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.objectives import (
    CLIP,
    Alignment,
    BarlowTwins,
    Composition,
    ContrastiveGap,
    InfoNCE,
    MixedBarlowTwins,
    Objective,
    Sum,
    Uniformity,
    VICReg,
)
from nearfar.objectives.criteria.correlation import MixedCorrelation
from nearfar.objectives.criteria.hypersphere import GaussianPotential
from nearfar.objectives.masks import same_side
from nearfar.objectives.memory import Draws
from tests.objectives.relations import diagonal
from tests.oracles.cases import cases, check_loss, check_rows, mean_of
from tests.oracles.libraries import lightly_losses, quiet
from tests.oracles.slopes import check_slopes
from tests.oracles.slow import statistics as oracle

VALUES = settings(max_examples=20, deadline=None)
GRADIENTS = settings(max_examples=5, deadline=None)
STANDARDISATIONS = st.sampled_from(["population", "sample"])


def flat(case):
    """The matched pairs: an anchor and a positive in each row of both arrays."""
    rows, columns = case.problem.positive.nonzero(as_tuple=True)
    return case.anchors[rows].numpy(), case.candidates[columns].numpy()


def by_row(case, values):
    """(losses, kept): the mean over the pairs of each row."""
    rows, _ = case.problem.positive.nonzero(as_tuple=True)
    each = [values[rows.numpy() == row] for row in range(len(case.anchors))]
    return np.array([own.mean() if len(own) else 0.0 for own in each]), np.array([len(own) > 0 for own in each])


def apart(case):
    """What may repel what among the matched pairs: anchors, candidates, and across."""
    problem = case.problem
    rows, columns = problem.positive.nonzero(as_tuple=True)
    anchors = same_side(problem.masks, problem.row_ids, problem.column_ids)
    candidates = same_side(problem.masks.transpose(), problem.column_ids, problem.row_ids)
    across = problem.valid & ~problem.positive
    return {
        "apart_anchors": anchors[rows][:, rows].numpy(),
        "apart_candidates": candidates[columns][:, columns].numpy(),
        "apart_pairs": across[rows][:, columns].numpy(),
    }


def views(size=12, dim=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for _ in range(2)]


def theirs(name):
    losses = lightly_losses()
    return {**vars(losses), **vars(losses.hypersphere_loss)}[name]


def same_loss_and_gradient(objective, reference, one, other):
    """Ours and theirs, in value and in the gradients of both views."""
    ours = [view.clone().requires_grad_() for view in (one, other)]
    yours = [view.clone().requires_grad_() for view in (one, other)]
    loss, expected = objective(*ours, diagonal(len(one))), reference(*yours)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    for mine, yours_too in zip(ours, yours, strict=True):
        torch.testing.assert_close(mine.grad, yours_too.grad)


@VALUES
@given(case=cases(), exponent=st.sampled_from([1.0, 2.0, 3.0]))
def test_alignment(case, exponent):
    values, _ = oracle.alignment(*flat(case), exponent=exponent)
    check_rows(Alignment(exponent=exponent), case, by_row(case, values))


@VALUES
@given(case=cases(), decay=st.sampled_from([0.5, 2.0]))
def test_uniformity(case, decay):
    beside = apart(case)
    del beside["apart_pairs"]
    check_loss(Uniformity(decay=decay), case, oracle.uniformity(*flat(case), decay=decay, **beside))


@VALUES
@given(case=cases())
def test_contrastive_gap_is_symmetric_info_nce_and_three_statistics(case):
    one, other = flat(case)
    settings_ = {"temperature": 0.2, "uniformity_weight": 0.5, "alignment_weight": 2.0, "cross_uniformity_weight": 3.0}
    clip = InfoNCE(temperature=0.2, directions="symmetric")(*case.vectors, case.known).item()
    expected = clip
    if len(one):
        terms = oracle.contrastive_gap_terms(one, other, temperature=0.2, **apart(case))
        squares = by_row(case, oracle.alignment(one, other)[0])
        expected += 0.5 * terms["uniformity"] + 2 * mean_of(squares) + 3 * terms["cross_uniformity"]
    check_loss(ContrastiveGap(**settings_), case, expected)


@pytest.mark.parametrize("across", [0.0, 1.0])
def test_contrastive_gap_of_pairs(across):
    one, other = views(6)
    found = ContrastiveGap(temperature=0.1, cross_uniformity_weight=across)(one, other, diagonal(6))
    expected = oracle.contrastive_gap(one.numpy(), other.numpy(), temperature=0.1, cross_uniformity_weight=across)
    assert found.item() == pytest.approx(expected, abs=1e-10)


@VALUES
@given(case=cases(), standardisation=STANDARDISATIONS, epsilon=st.sampled_from([1e-5, 1e-2]))
def test_barlow_twins(case, standardisation, epsilon):
    given_ = {"redundancy": 0.02, "scale": 0.3, "standardisation": standardisation, "epsilon": epsilon}
    check_loss(BarlowTwins(**given_), case, oracle.barlow_twins(*flat(case), **given_))


@VALUES
@given(case=cases(), standardisation=STANDARDISATIONS, seed=st.integers(0, 50))
def test_mixed_barlow_twins(case, standardisation, seed):
    given_ = {"redundancy": 0.02, "regularisation": 4.0, "scale": 0.5, "standardisation": standardisation}
    one, other = flat(case)
    part = MixedCorrelation(standardisation=standardisation, seed=seed)
    share, order = part.draw(Draws(seed).generator(), len(one), torch.zeros((), dtype=torch.float64))
    share, order = share.item(), order.numpy()
    expected = 0.0
    if len(one):
        mixed = share * one + (1 - share) * other[order]
        expected = oracle.mixed_barlow_twins(one, other, mixed, order, share, epsilon=1e-5, **given_)
    check_loss(MixedBarlowTwins(seed=seed, **given_), case, expected)


@VALUES
@given(case=cases(), half_variance=st.booleans())
def test_vicreg(case, half_variance):
    one, other = flat(case)
    expected = 0.0
    if len(one):
        terms = oracle.vicreg_terms(one, other, half_variance=half_variance)
        squares = by_row(case, np.square(one - other).mean(axis=1))
        expected = 3 * mean_of(squares) + 2 * terms["variance"] + 0.5 * terms["covariance"]
    objective = VICReg(invariance=3.0, variance=2.0, covariance=0.5, half_variance=half_variance)
    check_loss(objective, case, expected)


@pytest.mark.parametrize(
    "objective",
    [
        Alignment(),
        Alignment(exponent=1.5),
        Uniformity(),
        ContrastiveGap(temperature=0.3),
        BarlowTwins(),
        BarlowTwins(standardisation="sample"),
        MixedBarlowTwins(),
        VICReg(),
    ],
    ids=str,
)
def test_gradients(objective):
    @GRADIENTS
    @given(case=cases(most=4, dim=3))
    def check(case):
        check_slopes(objective, case)

    check()


def test_the_statistics_of_a_batch_are_those_of_its_pairs():
    """An anchor with two positives is in two pairs, and a candidate that is nobody's positive in none."""
    one, other = views(3)
    relevance = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    apart_from_it = BarlowTwins()(one[:2], other, relevance)
    torch.testing.assert_close(apart_from_it, BarlowTwins()(one[:2], other[[0, 2]], diagonal(2)))


def test_the_full_uniformity_is_one_and_the_other_pairs():
    """exp(full) = 1 + (N - 1) exp(uniformity of that side)."""
    one, _ = views(7)
    full = Objective(Composition(criterion=GaussianPotential(itself=True, divisor="rows")))
    sparse = Uniformity()(one, one.clone(), diagonal(7))
    found = full(one, one.clone(), diagonal(7))
    torch.testing.assert_close(found.exp(), 1 + 6 * sparse.exp())


def test_uniformity_of_orthonormal_texts_is_minus_four_and_of_equal_ones_zero():
    corners = torch.eye(5, dtype=torch.float64)
    assert Uniformity()(corners, corners.clone(), diagonal(5)).item() == pytest.approx(-4)
    assert Uniformity()(torch.ones(5, 5), torch.ones(5, 5), diagonal(5)).item() == pytest.approx(0, abs=1e-6)


@VALUES
@given(seed=st.integers(0, 100), decay=st.sampled_from([0.5, 2.0]))
def test_uniformity_stays_in_its_range_and_a_rotation_changes_nothing(seed, decay):
    one, other = views(5, seed=seed)
    value = Uniformity(decay=decay)(one, other, diagonal(5))
    assert -4 * decay <= value.item() <= 0
    assert Alignment()(one, other, diagonal(5)).item() >= 0
    turn = torch.linalg.qr(views(4, seed=seed + 1)[0])[0]
    torch.testing.assert_close(Uniformity(decay=decay)(one @ turn, other @ turn, diagonal(5)), value)


def test_texts_with_a_positive_in_common_do_not_repel_each_other():
    one, other = views(2)
    relevance = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert Uniformity()(one, other, relevance).item() == 0


def test_whitened_identical_views_have_no_barlow_loss():
    view, _ = views(12)
    view = view - view.mean(dim=0)
    white = view @ torch.linalg.inv(torch.linalg.cholesky(view.T @ view / 12)).T
    assert BarlowTwins(epsilon=0.0)(white, white.clone(), diagonal(12)).item() == pytest.approx(0, abs=1e-20)


def test_with_sample_variances_the_diagonal_cannot_reach_one():
    view, _ = views(12)
    own = BarlowTwins(redundancy=0.0, standardisation="sample", epsilon=0.0)(view, view.clone(), diagonal(12))
    assert own.item() == pytest.approx(4 * (1 - 11 / 12) ** 2)


@dataclass(frozen=True, kw_only=True)
class FixedShare(MixedCorrelation):
    """Mixtures with a given share.

    Attributes:
        share: of the first view.
    """

    share: float = 1.0

    def draw(self, generator, pairs, like):
        return torch.tensor(self.share, dtype=like.dtype), super().draw(generator, pairs, like)[1]


@pytest.mark.parametrize(("share", "nothing"), [(0.0, True), (1.0, True), (0.5, False)])
def test_the_mixed_term_is_zero_where_nothing_is_mixed_and_not_for_a_linear_encoder(share, nothing):
    one, other = views(12)
    objective = Objective(Composition(criterion=FixedShare(share=share), similarity="dot"))
    found = objective(one, other, diagonal(12)).item()
    assert (abs(found) < 1e-20) == nothing


def test_variance_and_covariance_vanish_for_wide_and_orthogonal_dimensions():
    view, _ = views(12)
    white = torch.linalg.qr(view - view.mean(dim=0))[0] * 20
    assert VICReg()(white, white.clone(), diagonal(12)).item() == pytest.approx(0, abs=1e-12)
    narrow = VICReg(covariance=0.0)(white / 20, white / 20, diagonal(12)).item()
    assert narrow == pytest.approx(25 * (1 - math.sqrt(1 / 11 + 1e-4)))


def test_the_terms_of_a_sum_are_logged_apart():
    one, other = views(6)
    outcome = VICReg().outcome(one, other, diagonal(6))
    expected = oracle.vicreg_terms(one.numpy(), other.numpy())
    assert list(outcome.terms) == ["0 PairDistance", "1 VarianceHinge", "2 Covariance"]
    assert [term.item() for term in outcome.terms.values()] == pytest.approx(list(expected.values()))


def test_alignment_and_uniformity_can_be_put_into_a_sum():
    one, other = views(6)
    both = Objective(Sum(terms=(Alignment().form, Uniformity().form, CLIP().form), weights=(1.0, 0.5, 0.0)))
    expected = Alignment()(one, other, diagonal(6)) + 0.5 * Uniformity()(one, other, diagonal(6))
    torch.testing.assert_close(both(one, other, diagonal(6)), expected)


def test_lightly_computes_the_same_barlow_twins():
    one, other = views()
    same_loss_and_gradient(BarlowTwins(redundancy=0.005), theirs("BarlowTwinsLoss")(lambda_param=0.005), one, other)


def test_lightly_computes_the_same_vicreg():
    one, other = views()
    same_loss_and_gradient(VICReg(), theirs("VICRegLoss")(), one, other)


def test_lightly_hypersphere_is_alignment_and_uniformity_with_other_defaults():
    """There the decay is 1, where the paper has 2, and the vectors are normalised inside."""
    one, other = views()
    objective = Objective(Sum(terms=(Alignment().form, Uniformity(decay=1.0).form), weights=(1.0, 1.0)))
    reference = theirs("HypersphereLoss")(t=1.0, lam=1.0, alpha=2.0)
    same_loss_and_gradient(objective, reference, normalize(one, dim=1), normalize(other, dim=1))


def test_pytorch_metric_learning_computes_the_same_vicreg():
    """It halves the variance term too, and gives its loss as a mean over the batch of one number for all."""
    with quiet():
        from pytorch_metric_learning.losses import VICRegLoss
    reference = VICRegLoss(invariance_lambda=25, variance_mu=25, covariance_v=1)
    one, other = views()
    same_loss_and_gradient(VICReg(), lambda left, right: reference(left, ref_emb=right), one, other)
