"""Negatives by where they came from."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from jaxtyping import Bool
from torch import Tensor

from nearfar.config.component import require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Mask
from nearfar.objectives.problem import Problem
from nearfar.types import Origin

Which = Literal["all", "in_batch", "own_hard", "private"]


def negatives_of(problem: Problem, which: Which) -> Bool[Tensor, "row column"]:
    """Some of the negatives.

    Args:
        problem: rows and columns.
        which: ``all``; ``in_batch`` all but the row's own hard negatives; ``own_hard`` those alone; ``private`` all but
            other rows' hard negatives.
    """
    if which == "in_batch":
        return problem.negative & ~problem.own
    if which == "own_hard":
        return problem.negative & problem.own
    if which == "private":
        return problem.negative & (problem.own | (problem.origins != Origin.HARD)[None, :])
    return problem.negative


@dataclass(frozen=True, kw_only=True)
class KeepNegatives(Mask):
    """Leaves a row only some of its negatives.

    Attributes:
        which: ``in_batch`` all but the row's own hard negatives; ``own_hard`` those alone; ``private`` all but other
            rows' hard negatives; ``all``.
    """

    which: Which = "private"

    def __post_init__(self) -> None:
        require(self.which in get_args(Which), self, "which", " or ".join(get_args(Which)))

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with fewer valid pairs."""
        return replace(problem, valid=problem.positive | negatives_of(problem, self.which))
