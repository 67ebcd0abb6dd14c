"""From a softmax row to the distributionally robust one."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Outcome, Weight
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Robust(Weight):
    """Losses times their temperature, of the mean over the K columns in the place of the sum: ``t * (loss - log K)``.

    This brings the limits within reach: a low temperature gives the largest margin that is violated, a high one the
    mean of all.

    Attributes:
        initial, alpha: for temperatures that adapt, whose loss is lowered by
            ``alpha * log K / (2 * initial) * (t - initial) ** 2``; an alpha of 0 for those that do not.
    """

    initial: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        require(is_number(self.initial) and self.initial > 0, self, "initial", "a number above 0")
        require(is_number(self.alpha) and self.alpha >= 0, self, "alpha", "a number of at least 0")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem itself."""
        return problem

    def reweigh(self, outcome: Outcome, problem: Problem, memory: Memory) -> Outcome:
        """The outcome with robust losses."""
        assert problem.temperature is not None
        temperature: Float[Tensor, " row"] = problem.temperature.expand(len(outcome.losses), 1)[:, 0]
        columns = problem.valid.sum(dim=1).clamp(min=1).to(outcome.losses.dtype).log()
        losses = temperature * (outcome.losses - columns)
        if self.alpha:
            losses = losses - self.alpha * columns / (2 * self.initial) * (temperature - self.initial) ** 2
        return replace(outcome, losses=torch.where(outcome.kept, losses, 0.0))
