"""A price on the length of vectors, where no normalisation bounds it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from nearfar.objectives.criteria.rows import masked_mean, of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class SquaredNorm(Criterion):
    """The mean over the positives of half the sum of both vectors' squared norms."""

    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive."""
        one, other = (side.square().sum(dim=1) for side in (problem.anchors, problem.candidates))
        terms = (one[:, None] + other[None, :]) / 2
        return of_rows(problem, masked_mean(terms, problem.positive), problem.positive.any(dim=1))
