"""Weights of hard negatives."""

import math
from dataclasses import replace

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.memory import Memory
from nearfar.objectives.weights.hardness import Hardness
from nearfar.types import Origin
from tests.objectives.relations import relation
from tests.oracles.cases import scored

SCORES = torch.tensor([[0.5, 0.2, -0.4], [0.1, 0.6, 0.3]], dtype=torch.float64)
KNOWN = relation([[1, None, 0], [None, 1, None]], origins=[Origin.IN_BATCH, Origin.IN_BATCH, Origin.HARD])


def bias(part, scores=SCORES):
    problem = scored(scores, KNOWN)
    return part.apply(replace(problem, logits=problem.z / 0.5), Memory({})).bias


def test_the_weight_is_of_the_raw_similarity_and_positives_have_none():
    expected = torch.tensor([[0, 0.4, -0.8], [0.2, 0, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(bias(Hardness(strength=2.0)), expected)
    torch.testing.assert_close(bias(Hardness(strength=2.0, of="logit")), 2 * expected)


@pytest.mark.parametrize(
    ("on", "weighted"),
    [
        ("all", [[0, 1, 1], [1, 0, 1]]),
        ("in_batch", [[0, 1, 0], [1, 0, 1]]),
        ("own_hard", [[0, 0, 1], [0, 0, 0]]),
        ("private", [[0, 1, 1], [1, 0, 0]]),
    ],
)
def test_which_negatives_are_weighted(on, weighted):
    assert (bias(Hardness(on=on)) != 0).int().tolist() == weighted


def test_normalised_weights_have_mean_one_over_the_weighted_negatives():
    found = bias(Hardness(strength=3.0, normalised=True)).exp()
    assert (found[0, 1] + found[0, 2]).item() / 2 == pytest.approx(1)
    assert (found[0, 1] / found[0, 2]).item() == pytest.approx(math.exp(3 * 0.6))
    assert torch.equal(bias(Hardness(on="own_hard", normalised=True))[1], torch.zeros(3, dtype=torch.float64))


def test_gradient_flows_only_where_it_is_not_detached():
    scores = SCORES.clone().requires_grad_()
    assert not bias(Hardness(), scores).requires_grad
    bias(Hardness(detach=False, normalised=True, on="own_hard"), scores).sum().backward()
    assert torch.isfinite(scores.grad).all()


def test_a_bias_that_is_there_is_added_to():
    problem = replace(scored(SCORES, KNOWN), bias=torch.ones_like(SCORES))
    found = Hardness(strength=1.0).apply(problem, Memory({})).bias
    torch.testing.assert_close(found, 1 + torch.where(problem.negative, SCORES, 0.0))


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strength": None}, "strength must be a number, got None"),
        ({"of": "cosine"}, "of must be similarity or logit, got 'cosine'"),
        ({"on": "mine"}, "on must be all or in_batch or own_hard or private, got 'mine'"),
    ],
)
def test_what_is_refused(given, message):
    with pytest.raises(ConfigError, match=f"Hardness: {message}"):
        Hardness(**given)
