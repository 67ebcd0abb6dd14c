"""What criteria have in common when they look at a row: its chosen columns side by side, and its loss."""

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nearfar.objectives.part import Outcome
from nearfar.objectives.problem import Problem

Unjudged = Literal["negative", "ignored"]
"""What a column that nobody judged is where grades are compared: one of grade 0, or nothing."""


def front(mask: Bool[Tensor, "row column"]) -> tuple[Int[Tensor, "row place"], Bool[Tensor, "row place"]]:
    """Where each row's chosen columns are, side by side from the left.

    Chosen columns are few as a rule, so that comparing them with all columns costs rows x places x columns.

    Returns:
        columns, and which of them are chosen: rows that have fewer than the longest end in others.
    """
    most = max(int(mask.sum(dim=1).max()) if len(mask) else 0, 1)
    places = mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]
    return places, mask.gather(1, places)


def of_rows(problem: Problem, losses: Float[Tensor, " row"], kept: Bool[Tensor, " row"]) -> Outcome:
    """The outcome of a mean over rows: 0 where a row does not count, times its importance."""
    losses = torch.where(kept, losses, 0.0)
    return Outcome(losses if problem.importance is None else problem.importance * losses, kept)


def masked_mean(values: Float[Tensor, "row item"], mask: Bool[Tensor, "row item"]) -> Float[Tensor, " row"]:
    """The mean of each row where ``mask`` holds; 0 where it holds nowhere."""
    return torch.where(mask, values, 0.0).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def looked_at(problem: Problem, unjudged: Unjudged) -> Bool[Tensor, "row column"]:
    """The columns of each row whose grades are compared."""
    return problem.valid & problem.judged if unjudged == "ignored" else problem.valid


def gains_of(grades: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    """What finding a column is worth for nDCG: ``2 ** grade - 1``."""
    return torch.expm1(grades * math.log(2))


def ideal_gain(
    gains: Float[Tensor, "row column"], known: Bool[Tensor, "row column"], top: int | None = None
) -> Float[Tensor, " row"]:
    """The discounted gain of the best order, down to place ``top``."""
    best = gains.masked_fill(~known, float("-inf")).sort(dim=1, descending=True).values[:, :top]
    places = torch.arange(2, 2 + best.shape[1], dtype=gains.dtype, device=gains.device)
    return (torch.where(best.isinf(), 0.0, best) / torch.log2(places)).sum(dim=1)
