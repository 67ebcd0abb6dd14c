"""The probability of being among the best k."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.objectives.criteria.soft_top_k import AmongTopK, threshold
from nearfar.objectives.memory import Memory
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import scored

GOLDEN = torch.tensor([[0.8, 0.7, 0.1], [0.2, 0.6, 0.5], [0.65, 0.3, 0.9]], dtype=torch.float64)
SOME = settings(max_examples=15, deadline=None)


@SOME
@given(seed=st.integers(0, 1000), k=st.integers(1, 4))
def test_the_best_k_share_k_and_the_gradient_is_the_implicit_one(seed, k):
    scores = torch.randn(1, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    outcome = among(scores, k)
    outcome.backward()
    logits = 2 * scores.detach()
    theta = torch.sigmoid(logits + threshold(logits, torch.ones_like(logits, dtype=torch.bool), k)[:, None])[0]
    assert theta.sum().item() == pytest.approx(k, abs=1e-9)
    slope = 2 * theta * (1 - theta)
    expected = -2 * (1 - theta[0]) * (torch.eye(6, dtype=theta.dtype)[0] - slope / slope.sum())
    torch.testing.assert_close(scores.grad[0], expected)
    assert scores.grad.sum().abs() < 1e-12


def among(scores, k):
    return AmongTopK(k=k).outcome(scored(scores, diagonal(*scores.shape)), Memory({})).loss


def test_a_row_with_k_columns_asks_for_nothing():
    scores = GOLDEN.clone().requires_grad_()
    loss = among(scores, 3)
    loss.backward()
    assert loss.item() == 0
    assert scores.grad.abs().max() == 0


@pytest.mark.parametrize("sharp", [1.0, 100.0, 1e4])
def test_the_best_k_of_saturated_logits_stay_finite_in_single_precision(sharp):
    scores = (sharp * GOLDEN).float().requires_grad_()
    loss = among(scores, 2)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(scores.grad).all()


def test_rows_without_positives_do_not_count_and_ignored_columns_take_no_place():
    known = relation([[1, None, None], [None, None, None], [None, None, 1]], ignored=[(2, 0)])
    outcome = AmongTopK(k=2).outcome(scored(GOLDEN, known), Memory({}))
    assert outcome.kept.tolist() == [True, False, True]
    assert outcome.losses[0] > 0
    assert outcome.losses[1:].tolist() == [0, 0]


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("given_fields", "message"),
    [
        ({"k": 0}, "AmongTopK: k must be a whole number above 0, got 0"),
        ({"k": 2.5}, "AmongTopK: k must be a whole number above 0, got 2.5"),
        ({"k": True}, "AmongTopK: k must be a whole number above 0, got True"),
        ({"alpha": 0}, "AmongTopK: alpha must be a number above 0, got 0"),
    ],
)
def test_what_is_refused(given_fields, message):
    with pytest.raises(ConfigError, match=message):
        AmongTopK(**given_fields)
