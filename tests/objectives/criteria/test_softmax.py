"""The softmax criterion: what it refuses, and the corners that no named objective has."""

import math
from dataclasses import replace

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.criteria.norms import SquaredNorm
from nearfar.objectives.criteria.outer import FocalPower, Power
from nearfar.objectives.criteria.partners import Partners
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.memory import Memory
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import scored

SCORES = torch.tensor([[0.5, 0.2, -0.4], [0.1, 0.6, 0.3]], dtype=torch.float64)


def losses(criterion, known, scores=SCORES, **fields):
    return criterion.outcome(replace(scored(scores, known), **fields), Memory({}))


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"blocks": ("rows",)}, "blocks must be a list of row, column, anchors, candidates"),
        ({"blocks": ()}, "blocks must be a list"),
        ({"partition": "both"}, "partition must be joint or separate"),
        ({"inside": "max"}, "inside must be mean or sum or none"),
        ({"inside": "sum", "blocks": ("row", "anchors")}, "inside must be none, unless one log-sum has row"),
        ({"inside": "sum", "blocks": ("row", "column"), "partition": "separate"}, "inside must be none, unless"),
        ({"prior": 1}, "prior must be a number from 0 to below 1"),
        ({"smoothing": -0.1}, "smoothing must be a number from 0 to 1"),
        ({"smoothing": 0.1, "blocks": ("row", "column")}, "smoothing must be 0 unless the blocks are row and column"),
        ({"smoothing": 0.1, "inside": "sum"}, "smoothing must be 0 unless"),
        ({"outer": "log"}, "outer must be a function of -log p"),
    ],
)
def test_what_is_refused(given, message):
    with pytest.raises(ConfigError, match=f"Softmax: {message}"):
        Softmax(**given)


@pytest.mark.usefixtures("without_annotation_checks")
def test_what_outer_functions_and_targets_refuse():
    with pytest.raises(ConfigError, match="FocalPower: gamma must be a number of at least 0, got -1"):
        FocalPower(gamma=-1)
    with pytest.raises(ConfigError, match="Power: exponent must be a number of at least 0, got -1"):
        Power(exponent=-1)
    with pytest.raises(ConfigError, match="Partners: of_vectors must be anchors or guide or teacher, got 'labels'"):
        Partners(of_vectors="labels")


def test_without_itself_in_the_denominator_a_row_needs_a_negative():
    known = relation([[1, 1, None], [None, 1, None]], ignored=[(0, 2)])
    for others in (False, True):
        outcome = losses(Softmax(own=False, others=others), known)
        assert outcome.kept.tolist() == [False, True]
        assert outcome.losses[0] == 0
        further = torch.zeros(2, 1, dtype=torch.float64)
        assert losses(Softmax(own=False, others=others), known, extra=further).kept.all()
    assert losses(Softmax(own=True), known).kept.all()


def test_a_column_of_negatives_is_enough_where_columns_are_contrasted():
    known = relation([[1, None, None], [None, None, None]], ignored=[(0, 1), (0, 2)])
    outcome = losses(Softmax(own=False, blocks=("column",)), known)
    assert outcome.kept.tolist() == [True, False]
    assert outcome.losses[0].item() == pytest.approx(0.1 - 0.5)


def test_further_mass_is_in_every_denominator():
    extra = torch.full((2, 1), math.log(3.0), dtype=torch.float64)
    known = diagonal(2, 3)
    plain, more = losses(Softmax(), known).losses, losses(Softmax(), known, extra=extra).losses
    for i in range(2):
        mass = SCORES[i].exp().sum().item()
        assert plain[i].item() == pytest.approx(math.log(mass) - SCORES[i, i].item())
        assert more[i].item() == pytest.approx(math.log(mass + 3) - SCORES[i, i].item())
    pooled = losses(Softmax(inside="sum"), known, extra=extra).losses
    torch.testing.assert_close(pooled, more)


def test_a_bag_whose_positives_have_no_rivals_costs_nothing():
    known = relation([[1, 1, None], [None, None, 1]], ignored=[(0, 2), (1, 0), (1, 1)])
    scores = SCORES.clone().requires_grad_()
    outcome = losses(Softmax(inside="sum", blocks=("row", "column"), twice=False), known, scores)
    with torch.autograd.set_detect_anomaly(True):
        outcome.loss.backward()
    assert outcome.losses.tolist() == pytest.approx([0, 0], abs=1e-12)
    assert torch.isfinite(scores.grad).all()


def test_importance_multiplies_the_losses_of_rows():
    importance = torch.tensor([2.0, 0.5], dtype=torch.float64)
    for criterion in (Softmax(), Softmax(inside="sum")):
        plain, weighted = (
            losses(criterion, diagonal(2, 3), **each).losses for each in ({}, {"importance": importance})
        )
        torch.testing.assert_close(weighted, importance * plain)


@pytest.mark.parametrize("prior", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_taking_false_negatives_out_leaves_finite_gradients_also_where_nothing_is_left(prior, dtype):
    for scores in (SCORES, torch.zeros_like(SCORES), 100 * SCORES, -100 * SCORES):
        logits = scores.to(dtype).clone().requires_grad_()
        with torch.autograd.set_detect_anomaly(True):
            losses(Softmax(prior=prior), diagonal(2, 3), logits).loss.backward()
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(("exponent", "expected"), [(0.0, 3.0), (1.0, math.log(4)), (1.5, 1.0), (2.0, 0.75)])
def test_the_comp_sum_functions_of_a_probability_of_a_quarter(exponent, expected):
    surprise = torch.tensor([[math.log(4)]], dtype=torch.float64)
    assert Power(exponent=exponent).of(surprise).item() == pytest.approx(expected)


def test_squared_norms_are_of_positive_pairs():
    anchors = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    outcome = losses(SquaredNorm(), relation([[1, 1, None], [None, None, None]]), anchors)
    assert outcome.kept.tolist() == [True, False]
    assert outcome.losses.tolist() == [(5 + 1) / 2, 0]


def test_partners_of_candidates_of_nobody_have_no_share():
    problem = replace(scored(SCORES, diagonal(2, 3)), anchors=torch.eye(2, 3, dtype=torch.float64))
    wanted, known, kept = Partners().of(problem)
    assert kept.all()
    assert known.all()
    torch.testing.assert_close(wanted.exp(), torch.tensor([[1, 0.5, 0], [0.5, 1, 0]], dtype=torch.float64))
