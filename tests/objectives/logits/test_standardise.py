"""Logits brought to a common size."""

from dataclasses import replace

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.logits.standardise import ColumnScale, Standardise
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relation

KNOWN = relation([[1, None, None, None], [1, None, None, None]], ignored=[(1, 3)])


def applied(part, rows):
    logits = torch.tensor(rows, dtype=torch.float64)
    problem = make_problem("test", torch.eye(2, dtype=torch.float64), torch.eye(4, 2, dtype=torch.float64), KNOWN)
    return part.apply(replace(problem, similarity=logits, logits=logits), Memory({})).z


def test_deviations_from_the_mean_over_usable_columns():
    found = applied(Standardise(), [[1, 3, 1, 3], [2, 4, 6, 100]])
    assert found[0].tolist() == pytest.approx([-1, 1, -1, 1])
    assert found[1, :3].tolist() == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])


def test_sizes():
    rows = [[1.0, -3, 1, 3], [2, -4, 6, 100]]
    assert applied(Standardise(by="magnitude"), rows)[:, :3].tolist() == [[0.5, -1.5, 0.5], [0.5, -1, 1.5]]
    soft = torch.nn.functional.softplus(torch.tensor(rows, dtype=torch.float64))
    found = applied(Standardise(by="softplus"), rows)
    torch.testing.assert_close(found[0], soft[0] / soft[0].mean())
    torch.testing.assert_close(found[1, :3], soft[1, :3] / soft[1, :3].mean())


@pytest.mark.parametrize("by", ["deviation", "magnitude"])
def test_a_row_without_size_is_zero_with_a_finite_slope(by):
    logits = torch.full((2, 4), 0.0 if by == "magnitude" else 0.3, requires_grad=True)
    problem = make_problem("test", torch.eye(2), torch.eye(4, 2), KNOWN)
    with torch.autograd.set_detect_anomaly(True):
        found = Standardise(by=by).apply(replace(problem, similarity=logits, logits=logits), Memory({})).z
        found.sum().backward()
    assert (found == 0).all()
    assert torch.isfinite(logits.grad).all()


def test_columns_of_narrow_logits_are_sharpened_and_wide_ones_left():
    found = applied(ColumnScale(), [[0.1, 1, 5, 7], [0.3, 1, -5, 9]])
    assert found[:, 0].tolist() == pytest.approx([1, 3])  # population deviation .1
    assert found[:, 1:].tolist() == [[1, 5, 7], [1, -5, 9]]
    assert applied(ColumnScale(factor=2.0), [[0.1, 1, 5, 7], [0.3, 1, -5, 9]])[:, 0].tolist() == pytest.approx(
        [0.5, 1.5]
    )


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="factor must be a number above 0, got 0"):
        ColumnScale(factor=0.0)


@pytest.mark.usefixtures("without_annotation_checks")
def test_words_are_checked():
    with pytest.raises(ConfigError, match="by must be deviation, magnitude or softplus"):
        Standardise(by="mean")
