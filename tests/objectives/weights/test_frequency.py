"""Weights of classes by how many examples they have, and losses times their temperature."""

import math

import pytest
import torch

from nearfar.errors import ConfigError, ShapeError
from nearfar.objectives.named.labels import MultiFocal
from nearfar.objectives.weights.frequency import ClassFrequency
from nearfar.objectives.weights.robust import Robust
from tests.objectives.relations import diagonal


def test_weights_by_count():
    assert ClassFrequency(counts=(10.0, 2.0, 1.0)).weights == pytest.approx([0.1875, 0.9375, 1.875])
    by_root = ClassFrequency(counts=(10.0, 1.0), by="root", root=3.0).weights
    assert by_root == pytest.approx([1, (1 + math.log(10)) ** (1 / 3)])


def test_counts_of_other_classes_than_there_are_columns_are_refused():
    with pytest.raises(ShapeError, match="there are 2 columns but 3 counts"):
        MultiFocal(counts=(1.0, 2.0, 3.0))(torch.eye(2), torch.eye(2), diagonal(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"counts": (1.0, 0.0)}, "counts must be a list of numbers above 0"),
        ({"counts": ()}, "counts must be a list"),
        ({"root": 0.5}, "root must be a number of at least 1"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        ClassFrequency(**settings)


@pytest.mark.parametrize(("settings", "message"), [({"initial": 0.0}, "initial must"), ({"alpha": -1.0}, "alpha must")])
def test_settings_of_robust_losses_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        Robust(**settings)
