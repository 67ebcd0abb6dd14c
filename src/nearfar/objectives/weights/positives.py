"""Weights on the pull of positives."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class HarderPositives(Weight):
    """Positives that are far from their anchor are pulled more: the weight is ``2 - exp(s / sigma)`` over its mean.

    The mean is over the rows that count, so that the weights have mean 1. They carry no gradient, and one of a positive
    that is nearer than most by far is below 0.

    Attributes:
        sigma: divides the similarities of the weights; above 0. The lower, the more do few positives stand out.
    """

    sigma: float = 0.5
    detached: ClassVar[tuple[str, ...]] = ("weights of the positives",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_number(self.sigma) and self.sigma > 0, self, "sigma", "a number above 0")

    @torch.no_grad()
    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with a weight on the pull of each positive."""
        scores, kept = problem.scores / self.sigma, problem.positive.any(dim=1) & problem.negative.any(dim=1)
        number = problem.positive.sum(dim=1).clamp(min=1).to(scores.dtype)
        each = masked_logsumexp(scores, problem.positive) - number.log()
        total = masked_logsumexp(each[None, :], kept[None, :]) - kept.sum().clamp(min=1).to(scores.dtype).log()
        known = problem.positive & kept[:, None]
        weights = torch.where(known, 2 - torch.exp(torch.where(known, scores - total, 0.0)), 1.0)
        return replace(problem, attraction=weights if problem.attraction is None else problem.attraction * weights)
