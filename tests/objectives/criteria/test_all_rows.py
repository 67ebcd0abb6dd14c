"""Positives against the negatives of all rows."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.objectives.criteria import all_rows
from nearfar.objectives.criteria.links import Hinge
from nearfar.objectives.memory import Memory
from tests.objectives.relations import DEGENERATE, diagonal, relation
from tests.oracles.cases import scored

GOLDEN = torch.tensor([[0.8, 0.7, 0.1], [0.2, 0.6, 0.5], [0.65, 0.3, 0.9]], dtype=torch.float64)
SOME = settings(max_examples=15, deadline=None)


def test_golden_rows_of_mw_and_the_area_that_it_bounds():
    found = by_mw(GOLDEN, 0.1)
    assert found.item() == pytest.approx(0.1931, abs=5e-5)
    assert found.item() / math.log(2) >= 1 / 9


def by_mw(scores, temperature, known=None):
    criterion = all_rows.AllRows()
    problem = scored(scores, known or diagonal(*scores.shape))
    return criterion.outcome(replace(problem, logits=problem.z / temperature), Memory({})).loss


@SOME
@given(seed=st.integers(0, 1000))
def test_mw_bounds_the_area_above_the_curve_and_has_the_gradient_of_its_equation(seed):
    scores = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    loss = by_mw(scores, 0.3)
    loss.backward()
    own = torch.eye(4, 6, dtype=torch.bool)
    positives, negatives = scores.detach()[own], scores.detach()[~own]
    wrong = (negatives[None, :] > positives[:, None]).double().mean()
    assert wrong <= loss / math.log(2)
    expected = -torch.sigmoid((negatives[None, :] - positives[:, None]) / 0.3).mean(dim=1) / (4 * 0.3)
    torch.testing.assert_close(scores.grad[own], expected)


def test_mw_in_chunks_is_mw(monkeypatch):
    found = []
    for size in (2**22, 7):
        monkeypatch.setattr(all_rows, "PAIRS_AT_ONCE", size)
        scores = GOLDEN.clone().requires_grad_()
        loss = by_mw(scores, 0.1, relation([[1, None, 1], [0, 1, None], [None, None, 1]]))
        loss.backward()
        found.append((loss.detach(), scores.grad))
    torch.testing.assert_close(found[0], found[1])


def test_what_waits_for_the_backward_pass_grows_with_the_scores_and_not_with_the_pairs():
    scores, saved = torch.randn(32, 64, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda each: saved.append(each.numel()) or each, lambda each: each):
        loss = by_mw(scores, 0.1)
    assert sum(saved) < 20 * scores.numel() < 32 * (scores.numel() - 32)
    loss.backward()
    assert torch.isfinite(scores.grad).all()


def test_a_link_may_be_another_one():
    problem = scored(GOLDEN, diagonal(3))
    found = all_rows.AllRows(link=Hinge(margin=0.1)).outcome(problem, Memory({})).losses
    negatives = GOLDEN[~torch.eye(3, dtype=torch.bool)]
    expected = [(negatives - positive + 0.1).clamp(min=0).mean().item() for positive in GOLDEN.diagonal()]
    assert found.tolist() == pytest.approx(expected)


def test_it_counts_rows_with_a_positive_where_any_row_has_a_negative():
    outcome = all_rows.AllRows().outcome(scored(GOLDEN[:2], relation([[1, 1, 1], [None, None, None]])), Memory({}))
    assert outcome.kept.tolist() == [True, False]
    nobody = DEGENERATE["no negatives"]
    outcome = all_rows.AllRows().outcome(scored(GOLDEN[:2, :2], nobody), Memory({}))
    assert outcome.kept.tolist() == [False, False]
    assert outcome.losses.tolist() == [0, 0]
    assert all_rows.AllRows().scope == "batch"


@pytest.mark.usefixtures("without_annotation_checks")
def test_what_is_refused():
    with pytest.raises(ConfigError, match="AllRows: link must be a link, such as"):
        all_rows.AllRows(link="hinge")
