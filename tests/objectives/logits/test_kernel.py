"""Distances as memberships."""

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.logits.kernel import StudentKernel, student, union
from nearfar.objectives.weights.kernel_targets import KernelTargets


def test_the_kernel_falls_with_the_distance_and_slower_with_few_degrees_of_freedom():
    squared = torch.linspace(0, 50, 20)[None]
    light, heavy = student(squared, 100.0, 1.0), student(squared, 2.0, 1.0)
    assert (light.diff() < 0).all()
    assert heavy[0, -1] / heavy[0, 0] > light[0, -1] / light[0, 0]


def test_the_union_is_symmetric_and_never_below_either():
    near = torch.tensor([[0.0, 0.9], [0.2, 0.0]])
    assert union(near).tolist() == [[0, pytest.approx(0.92)], [pytest.approx(0.92), 0]]


@pytest.mark.parametrize("part", [StudentKernel, KernelTargets])
def test_settings_are_checked(part):
    for setting in ("freedom", "sigma"):
        with pytest.raises(ConfigError, match=f"{setting} must be a number above 0, got 0"):
            part(**{setting: 0.0})
