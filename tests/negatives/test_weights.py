"""Weights of negatives that are known before training."""

import numpy as np
import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.negatives.candidates import Reason
from nearfar.negatives.registry import parse_weight
from nearfar.negatives.weights import Doubt, Propensity
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from nearfar.objectives.weights.propensity import InversePropensity
from tests.negatives.jobs import one_list
from tests.objectives.relations import relation


def weights(part, scores, name, dropped=()):
    stuff, found = one_list(scores, name=name)
    found = found.drop(np.isin(np.arange(len(scores)), dropped), Reason.MARGIN)
    return part.apply(found, stuff).weight.tolist()


def test_a_judge_that_is_sure_takes_the_weight():
    expected = pytest.approx([0.0, 0.75, 1.0, 1.0])
    assert weights(Doubt(), [1.0, 0.25, 0.0, np.nan], "judge") == expected


def test_a_judge_must_give_probabilities():
    with pytest.raises(ConfigError, match=r"needs probabilities, but the score 'judge' is 3.5 for a candidate"):
        weights(Doubt(), [0.5, 3.5], "judge")
    assert weights(Doubt(), [0.5, 3.5], "judge", dropped=[1]) == [0.5, 1.0]


def test_propensities_have_mean_one_over_what_is_kept():
    """1 + e for a logit of 2 at temperature 2, 2 for 0, and 5 at most."""
    each = np.array([1 + np.e, 2, 5])
    expected = [*(each / each.mean()), 1, 1]
    assert weights(Propensity(), [2.0, 0.0, 20.0, 8.0, np.nan], "propensity", [3]) == pytest.approx(expected)
    large = weights(Propensity(maximum=None), [20.0, 0.0], "propensity")
    assert large == pytest.approx(np.array([1 + np.exp(10), 2]) * 2 / (3 + np.exp(10)))


def test_propensities_of_nothing():
    assert weights(Propensity(), [np.nan], "propensity") == [1.0]
    assert weights(Propensity(), [2.0], "propensity", [0]) == [1.0]


def test_huge_logits_give_finite_weights():
    assert np.isfinite(weights(Propensity(maximum=None), [1e6, 0.0], "propensity")).all()


def test_weights_multiply():
    stuff, found = one_list([0.5], name="judge")
    once = Doubt().apply(found, stuff)
    assert Doubt().apply(once, stuff).weight.tolist() == [0.25]


def test_they_are_those_of_training_with_one_negative_a_row():
    logits = [-3.0, 0.5, 2.0, 9.0]
    known = relation([[1, 0]] * len(logits))
    teacher = torch.tensor([[0.0, value] for value in logits])
    problem = make_problem("weights", torch.ones(len(logits), 2), torch.ones(2, 2), known, teacher=teacher)
    for maximum in (5.0, None):
        trained = InversePropensity(maximum=maximum).apply(problem, Memory({})).importance
        assert weights(Propensity(maximum=maximum), logits, "propensity") == pytest.approx(trained.tolist(), rel=1e-5)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Propensity(temperature=0)", "temperature must be a number above 0"),
        ("Propensity(maximum=0.5)", "maximum must be a number of at least 1, or none"),
        ("Dout()", "Unknown weight 'Dout'. Did you mean 'Doubt'"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_weight(text)
