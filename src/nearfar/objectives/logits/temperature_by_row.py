"""A temperature for each example, by its own gradient descent beside the optimiser (iSogCLR)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from nearfar.config.component import is_number, require
from nearfar.errors import ConfigError
from nearfar.objectives.logits.temperature import divided
from nearfar.objectives.memory import Memory, Table, mean_of_each
from nearfar.objectives.part import Logits, Outcome
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class TemperatureByRow(Logits):
    """A temperature t for each example, which goes down the slope of ``F + t * rho`` after every loss.

    F is what the criterion stands for, ``t log u`` with the running mean u, whose slope in t is ``(F - loss) / t``; so
    the criterion must be a ``RunningMean`` of ``LogMeanExp``. Examples with many similar negatives, such as those of
    frequent topics, come to a higher temperature. Steps are taken in training mode, without the optimiser.

    Attributes:
        initial: of an example that was never seen; above 0.
        rho: a higher one gives lower temperatures.
        learning_rate: of the temperatures.
        beta: share of the new slope in their average, above 0; 1 for no average.
        minimum, maximum: bounds of the temperatures.
        limit: bound of the average of slopes; none for no such bound.
    """

    initial: float = 0.1
    rho: float = 0.3
    learning_rate: float = 0.01
    beta: float = 0.9
    minimum: float = 0.05
    maximum: float = 0.7
    limit: float | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"index"})
    detached: ClassVar[tuple[str, ...]] = ("temperature of each example",)

    def __post_init__(self) -> None:
        require(is_number(self.minimum) and self.minimum > 0, self, "minimum", "a number above 0")
        require(is_number(self.maximum) and self.maximum >= self.minimum, self, "maximum", "at least the minimum")
        within = is_number(self.initial) and self.minimum <= self.initial <= self.maximum
        require(within, self, "initial", f"a number from {self.minimum} to {self.maximum}")
        require(is_number(self.rho), self, "rho", "a number")
        rate = is_number(self.learning_rate) and self.learning_rate >= 0
        require(rate, self, "learning_rate", "a number of at least 0")
        require(is_number(self.beta) and 0 < self.beta <= 1, self, "beta", "a number above 0, and at most 1")
        bound = self.limit is None or (is_number(self.limit) and self.limit > 0)
        require(bound, self, "limit", "a number above 0, or none")

    def make_memory(self, dim: int) -> nn.Module:
        """The temperature of each example and the average of its slopes."""
        return Table(self.initial, 0.0)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with logits divided row by row."""
        assert problem.index is not None
        return divided(problem, memory.of(Table).read(problem.index)[0][:, :1].to(problem.z.dtype))

    @torch.no_grad()
    def reweigh(self, outcome: Outcome, problem: Problem, memory: Memory) -> Outcome:
        """The outcome as it is; the temperatures of the rows that count take their step."""
        assert problem.index is not None
        if outcome.estimates is None:
            raise ConfigError(
                "TemperatureByRow: the criterion must be RunningMean(inner=LogMeanExp()), whose value has a slope in "
                "the temperature of each example."
            )
        table, index = memory.of(Table), torch.where(outcome.kept, problem.index, -1)
        remembered = table.read(index)[0].to(problem.z.dtype)
        before, average = remembered[:, :1], remembered[:, 1:]
        slope = (outcome.estimates - outcome.losses)[:, None] / before + self.rho
        average = torch.lerp(average, mean_of_each(index, slope), self.beta)
        if self.limit is not None:
            average = average.clamp(-self.limit, self.limit)
        now = (before - self.learning_rate * average).clamp(self.minimum, self.maximum)
        table.write(index, torch.cat([now, average], dim=1))
        return outcome
