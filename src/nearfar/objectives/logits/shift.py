"""A constant added to all logits."""

from dataclasses import dataclass, replace

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Shift(Logits):
    """Moves the logit at which a pair is as likely positive as negative. No criterion of log-ratios notices it.

    Attributes:
        by: what is added.
    """

    by: float = 0.0

    def __post_init__(self) -> None:
        require(is_number(self.by), self, "by", "a number")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with moved logits."""
        return replace(problem, logits=problem.z + self.by)
