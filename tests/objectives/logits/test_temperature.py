"""The trained temperature at its bounds."""

import math

import pytest
import torch

from nearfar.objectives import CLIP, parse

COLD, HOT = 0.01, 0.5
BETWEEN = "Composition(criterion=Softmax, logits=LearnedTemperature(initial=0.1, minimum=0.01, maximum=0.5))"


def slope_at(temperature, nearer):
    """The gradient of the log inverse temperature, with all positives nearer than the negatives, or farther."""
    objective = parse(BETWEEN)
    (parameter,) = objective.parameters()
    with torch.no_grad():
        parameter.fill_(-math.log(temperature))
    anchors = torch.eye(3, 4)
    outcome = objective.outcome(anchors, anchors if nearer else anchors.roll(1, dims=0), torch.eye(3))
    outcome.loss.backward()
    return parameter.grad.item(), outcome.problems[0].temperature.item()


def test_inside_the_bounds_it_is_free():
    assert slope_at(0.2, nearer=True)[0] < 0  # colder would be better
    assert slope_at(0.2, nearer=False)[0] > 0


@pytest.mark.parametrize(("beyond", "bound", "way_out"), [(0.005, COLD, True), (2.0, HOT, False)])
def test_beyond_a_bound_it_can_only_go_back(beyond, bound, way_out):
    further, there = slope_at(beyond, nearer=way_out)
    assert (further, there) == (0, pytest.approx(bound))
    back, _ = slope_at(beyond, nearer=not way_out)
    assert back != 0
    assert (back > 0) == way_out  # descent on a positive slope makes it hotter


def test_it_leaves_a_bound_that_it_has_overshot():
    objective = CLIP(temperature=0.011, minimum=0.01)
    (parameter,) = objective.parameters()
    optimiser = torch.optim.AdamW(objective.parameters(), lr=0.05, weight_decay=0.0)
    anchors, seen = torch.eye(3, 4), []
    noisy = anchors.roll(1, dims=0)
    for step in range(60):
        optimiser.zero_grad()
        outcome = objective.outcome(anchors, anchors + 0.9 * noisy if step < 20 else noisy, torch.eye(3))
        outcome.loss.backward()
        optimiser.step()
        seen.append(outcome.problems[0].temperature.item())
    assert seen[19] == pytest.approx(0.01)
    assert seen[-1] > 0.02
    assert parameter.item() < -math.log(0.02)
