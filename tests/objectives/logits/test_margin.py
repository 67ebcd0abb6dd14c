"""Margins on positives, and constants on all logits."""

import math

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.logits.margin import Margin, widened
from nearfar.objectives.logits.shift import Shift


def test_the_cosine_of_a_wider_angle():
    angles = torch.tensor([[0.1, 1.0, 2.0, 2.6]], dtype=torch.float64)
    expected = torch.cos(angles + 0.5)
    torch.testing.assert_close(widened(angles.cos(), 0.5), expected)


def test_beyond_pi_the_order_of_angles_is_kept():
    cosines = torch.linspace(-1, 1, 2001, dtype=torch.float64)[None]
    found = widened(cosines, 0.5)[0]
    assert (found.diff()[(cosines[0, 1:] < -math.cos(0.5)) | (cosines[0, :-1] > -math.cos(0.5))] > 0).all()


@pytest.mark.parametrize("cosine", [1.0, 1.0000001, -1.0, -1.0000001, 0.99999994])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_slope_is_finite_at_both_ends(cosine, dtype):
    cosines = torch.tensor([[cosine]], dtype=dtype, requires_grad=True)
    with torch.autograd.set_detect_anomaly(True):
        widened(cosines, 0.5).sum().backward()
    assert torch.isfinite(cosines.grad).all()
    assert cosines.grad.item() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": -0.1}, "margin must be a number of at least 0"),
        ({"margin": 3.2, "on": "angle"}, r"margin must be a number from 0 to below pi \(in radians\)"),
        ({"margin": 28.6, "on": "angle"}, "in radians"),
    ],
)
def test_a_margin_out_of_range_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Margin(**settings)


@pytest.mark.usefixtures("without_annotation_checks")
def test_words_are_checked():
    with pytest.raises(ConfigError, match="on must be score or angle, got 'cosine'"):
        Margin(on="cosine")
    with pytest.raises(ConfigError, match="gradient must be exact or straight_through"):
        Margin(gradient="none")
    with pytest.raises(ConfigError, match="by must be a number"):
        Shift(by=math.inf)
