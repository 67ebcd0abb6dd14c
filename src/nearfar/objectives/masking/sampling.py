"""A random part of the negatives, drawn anew at every call."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Mask
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class SampledNegatives(Mask):
    """Keeps each column as a negative with a probability, for all rows alike; positives stay.

    Attributes:
        rate: the probability; above 0, 1 keeps all.
        seed: of the draws.
    """

    rate: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        require(is_number(self.rate) and 0 < self.rate <= 1, self, "rate", "a number above 0, at most 1")
        require(is_whole(self.seed), self, "seed", "a whole number")

    def make_memory(self, dim: int) -> nn.Module:
        """The draws."""
        return Draws(self.seed)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with fewer negatives."""
        drawn = torch.rand(problem.valid.shape[1], generator=memory.of(Draws).generator(), dtype=torch.float64)
        return replace(problem, valid=problem.positive | (problem.valid & (drawn < self.rate).to(problem.valid.device)))
