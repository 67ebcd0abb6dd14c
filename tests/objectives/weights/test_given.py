"""Weights from outside, and weights on positives."""

from dataclasses import replace

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives import parse
from nearfar.objectives.memory import Memory
from nearfar.objectives.weights.given import GivenWeights
from nearfar.objectives.weights.positives import HarderPositives
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import scored

SCORES = torch.tensor([[0.5, 0.2, -0.4], [0.1, 0.6, 0.3]], dtype=torch.float64)


def test_a_weight_of_zero_leaves_a_pair_out_and_others_are_biases():
    weights = torch.tensor([[1.0, 2.0, 0.0], [-1.0, 0.0, 0.5]], dtype=torch.float64)
    problem = replace(scored(SCORES, diagonal(2, 3)), teacher=weights, bias=torch.ones_like(SCORES))
    found = GivenWeights().apply(problem, Memory({}))
    assert found.valid.int().tolist() == [[1, 1, 0], [0, 0, 1]]
    assert found.positive.int().tolist() == [[1, 0, 0], [0, 0, 0]]
    torch.testing.assert_close(found.bias[0, 1].exp(), 2 * torch.ones((), dtype=torch.float64).exp())
    assert torch.isfinite(found.bias).all()


def test_the_farther_a_positive_the_harder_it_is_pulled():
    problem = HarderPositives(sigma=0.5).apply(scored(SCORES, diagonal(2, 3)), Memory({}))
    near, far = problem.attraction[1, 1], problem.attraction[0, 0]
    assert near < 1 < far
    assert (near + far).item() == pytest.approx(2)
    again = HarderPositives().apply(problem, Memory({})).attraction
    torch.testing.assert_close(again, problem.attraction.square())


def test_rows_that_do_not_count_take_no_part_in_the_mean():
    known = relation([[1, None, None], [None, 1, None]], ignored=[(1, 0), (1, 2)])
    problem = HarderPositives().apply(scored(SCORES, known), Memory({}))
    torch.testing.assert_close(problem.attraction, torch.ones_like(SCORES))


@pytest.mark.usefixtures("without_annotation_checks")
def test_what_is_refused():
    with pytest.raises(ConfigError, match="HarderPositives: sigma must be a number above 0, got 0"):
        HarderPositives(sigma=0)


@pytest.mark.parametrize("missing", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(("text", "nothing"), [("ColloSSL", 0.0), ("CWCL(weights_from=teacher)", -1.0)])
def test_a_number_that_is_not_finite_is_none(text, nothing, missing):
    vectors, weights = torch.eye(2, 4), torch.tensor([[1.0, 0.5, 0.5], [0.5, 1.0, 0.5]])
    losses = []
    for value in (missing, nothing):
        weights[0, 1] = value
        losses.append(parse(text)(vectors, torch.eye(3, 4), diagonal(2, 3), teacher=weights))
    assert torch.isfinite(losses[0])
    torch.testing.assert_close(*losses)
