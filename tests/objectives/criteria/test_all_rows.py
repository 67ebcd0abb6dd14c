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


def test_with_many_pairs_it_is_the_same_loss(monkeypatch):
    known = relation([[1, None, 1, 0], [0, 1, None, None], [None, None, None, None]], ignored=[(1, 3), (2, 0)])
    weights = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
    for dtype, error in ((torch.float64, 1e-10), (torch.float32, 2e-6)):
        found = []
        for pairs in (2**24, 0):
            monkeypatch.setattr(all_rows, "PAIRS_ONE_BY_ONE", pairs)
            scores = (30 * torch.randn(3, 4, generator=torch.Generator().manual_seed(1))).to(dtype).requires_grad_()
            problem = replace(scored(scores, known), importance=weights.to(dtype))
            outcome = all_rows.AllRows().outcome(problem, Memory({}))
            outcome.loss.backward()
            found.append((outcome.losses.detach(), outcome.kept, scores.grad))
        for exact, fast in zip(*found, strict=True):
            torch.testing.assert_close(fast, exact, rtol=error, atol=0)


def test_logits_too_far_apart_are_compared_one_by_one(monkeypatch):
    monkeypatch.setattr(all_rows, "PAIRS_ONE_BY_ONE", 0)
    scores = torch.tensor([[1e7, 0.0], [2.0, 1.0]], requires_grad=True)
    loss = all_rows.AllRows().outcome(scored(scores, diagonal(2)), Memory({})).loss
    assert loss.item() == pytest.approx((math.log1p(math.e) + math.log1p(math.exp(-1))) / 4)
    loss.backward()
    assert scores.grad.isfinite().all()


def test_surveys_of_some_rows_conclude_the_losses_of_all():
    known = relation([[1, None, 1], [None, 1, None], [0, None, None], [1, 1, None]])
    weights = torch.tensor([1.0, 0.5, 2.0, 3.0], dtype=torch.float64)
    for importance in (None, weights):
        found = []
        for tiles in (None, [2, 2], [1, 3]):
            scores = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
            own = None if importance is None else importance.clone().requires_grad_()
            problem = replace(scored(scores, known), importance=own)
            criterion = all_rows.AllRows()
            outcome = criterion.outcome(problem, Memory({})) if tiles is None else in_tiles(criterion, problem, tiles)
            if tiles is None:
                outcome.loss.backward()
            found.append((outcome.losses.detach(), outcome.kept, scores.grad, scores.grad if own is None else own.grad))
        for tiled in found[1:]:
            for one, expected in zip(tiled, found[0], strict=True):
                torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-14)
    assert criterion.in_two_passes
    assert not all_rows.AllRows(link=Hinge()).in_two_passes


def in_tiles(criterion, problem, tiles):
    """Survey tiles of so many rows, conclude, and go backwards through each of them."""
    starts = [sum(tiles[:place]) for place in range(len(tiles))]
    parts = [some_rows(problem, slice(start, start + size)) for start, size in zip(starts, tiles, strict=True)]
    surveys = (criterion.survey(part) for part in parts)
    outcome, stands_for = criterion.conclude(surveys, sum(tiles), 0)
    assert not outcome.losses.requires_grad
    for place, part in enumerate(parts):
        stands_for(place, part).backward()
    return outcome


def some_rows(problem, rows):
    names = ("anchors", "positive", "valid", "judged", "grades", "own", "similarity", "logits", "importance")
    held = {name: getattr(problem, name) for name in names}
    return replace(problem, row_ids=None, **{name: None if each is None else each[rows] for name, each in held.items()})


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
