"""Weights of columns that are classes, from how many examples each class has."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch

from nearfar.config.component import is_number, require
from nearfar.errors import ShapeError
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class ClassFrequency(Weight):
    """Rare classes count more, as positives and as negatives.

    Attributes:
        counts: how many examples each class has in the dataset, in the order of the columns; each above 0.
        by: ``inverse`` is 1 over the count, scaled to a mean of 1; ``root`` is
            ``(1 - log(count / largest)) ** (1 / root)``.
        root: how gently rarity counts; at least 1.
    """

    counts: tuple[float, ...] = (1.0,)
    by: Literal["inverse", "root"] = "inverse"
    root: float = 6.0

    def __post_init__(self) -> None:
        numbers = isinstance(self.counts, tuple) and all(is_number(each) and each > 0 for each in self.counts)
        require(numbers and len(self.counts) > 0, self, "counts", "a list of numbers above 0, one for each class")
        require(self.by in ("inverse", "root"), self, "by", "inverse or root")
        require(is_number(self.root) and self.root >= 1, self, "root", "a number of at least 1")

    @property
    def weights(self) -> list[float]:
        """The weight of each class."""
        if self.by == "root":
            largest = max(self.counts)
            return [(1 - math.log(count / largest)) ** (1 / self.root) for count in self.counts]
        inverse = [1 / count for count in self.counts]
        return [each * len(inverse) / sum(inverse) for each in inverse]

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with weighted columns."""
        if problem.valid.shape[1] != len(self.counts):
            raise ShapeError(
                f"ClassFrequency: there are {problem.valid.shape[1]} columns but {len(self.counts)} counts. "
                "Give one count for each class, in the order of the candidates."
            )
        weights = torch.tensor(self.weights, dtype=problem.z.dtype, device=problem.z.device).expand_as(problem.z)
        shares = problem.shares
        if shares is None:
            shares = problem.positive.to(weights.dtype) / problem.positive.sum(dim=1, keepdim=True).clamp(min=1)
        bias = weights.log() if problem.bias is None else problem.bias + weights.log()
        return replace(problem, shares=shares * weights, bias=bias)
