"""From the losses of rows to those of anchors: sums of outcomes, and rows that are candidates or stand for anchors."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nearfar.objectives.outline import Outline
from nearfar.objectives.part import Outcome


def added(each: Sequence[Outcome], weights: Sequence[float], names: Sequence[str]) -> Outcome:
    """The weighted sum of outcomes about the same anchors, each a term of the loss under its name."""
    kept = torch.stack([outcome.kept for outcome in each]).any(dim=0)
    losses = torch.zeros_like(each[0].losses)
    for weight, outcome in zip(weights, each, strict=True):
        # Each term is a mean over its own anchors; the sum is read off as a mean over all that count.
        share = kept.sum().to(losses.dtype) / outcome.kept.sum().clamp(min=1)
        losses = losses + weight * share * torch.where(outcome.kept, outcome.losses, 0.0)
    terms = {name: outcome.loss for name, outcome in zip(names, each, strict=True)}
    for outcome in each:
        terms |= outcome.terms
    return Outcome(losses, kept, tuple(seen for outcome in each for seen in outcome.problems), terms)


def fold(outcome: Outcome, positive: Bool[Tensor, "anchor candidate"]) -> Outcome:
    """Share out the losses of candidates among the anchors that they belong to, keeping the mean over kept rows.

    The loss of a candidate that belongs to no anchor is shared out among all that are kept.

    Args:
        outcome: losses of anchors first, candidates after them.
        positive: who belongs to whom.
    """
    size = len(positive)
    rows = torch.where(outcome.kept, outcome.losses, 0.0)
    counts = (positive.any(dim=0) & outcome.kept[size:]).to(rows.dtype)
    among = positive.to(rows.dtype) * counts / positive.sum(dim=0).clamp(min=1)
    kept = outcome.kept[:size] | (among > 0).any(dim=1)
    share = kept.sum().to(rows.dtype) / outcome.kept.sum().clamp(min=1)
    nobodys = torch.where(positive.any(dim=0), 0.0, rows[size:]).sum() / kept.sum().clamp(min=1)
    losses = torch.where(kept, rows[:size] + among @ rows[size:] + nobodys, 0.0)
    return replace(outcome, losses=share * losses, kept=kept)


def of_anchors(outcome: Outcome, outline: Outline, candidates_only: bool = False) -> Outcome:
    """The outcome of rows that are candidates too as one of anchors, each with the loss of the whole.

    An anchor counts when it does as a row, or when a candidate does that belongs to it.

    Args:
        outcome: of anchors first, candidates after them.
        outline: the anchors and candidates.
        candidates_only: the outcome is of candidates alone.
    """
    size = 0 if candidates_only else len(outline)
    kept = outcome.kept.new_zeros(len(outline)) if candidates_only else outcome.kept[:size].clone()
    pairs = outline.matched
    kept[pairs.rows[outcome.kept[size + pairs.columns]]] = True
    return replace(outcome, losses=torch.where(kept, outcome.loss, 0.0), kept=kept)


def gathered(outcome: Outcome, source: Int[Tensor, " row"], anchors: int) -> Outcome:
    """The mean over the kept rows of each anchor, where rows stand for anchors."""
    kept = outcome.kept.to(outcome.losses.dtype)
    counts = kept.new_zeros(anchors).index_add(0, source, kept)
    sums = outcome.losses.new_zeros(anchors).index_add(0, source, torch.where(outcome.kept, outcome.losses, 0.0))
    return replace(outcome, losses=sums / counts.clamp(min=1), kept=counts > 0)
