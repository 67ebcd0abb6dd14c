"""What a temperature costs, so that a trained one does not run to its bounds."""

from dataclasses import dataclass, replace

import torch

from nearfar.config.component import is_number, require
from nearfar.objectives.criteria.rows import masked_mean
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Outcome, Weight
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class TemperaturePenalty(Weight):
    """Adds ``weight * mean_j (dim / 2 * log t_j + 1 / t_j)`` over the valid columns of a row to its loss.

    What a Gaussian log-likelihood of unit vectors of that width has beside the similarity. Alone it is lowest at a
    temperature of ``2 / dim``.

    Attributes:
        weight: of the penalty.
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        require(is_number(self.weight), self, "weight", "a number")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem itself."""
        return problem

    def reweigh(self, outcome: Outcome, problem: Problem, memory: Memory) -> Outcome:
        """The outcome with the penalty in the rows that count."""
        assert problem.temperature is not None
        temperature = problem.temperature.expand_as(problem.z)
        cost = problem.anchors.shape[1] / 2 * temperature.log() + 1 / temperature
        penalty = self.weight * masked_mean(cost, problem.valid)
        return replace(outcome, losses=outcome.losses + torch.where(outcome.kept, penalty, 0.0))
