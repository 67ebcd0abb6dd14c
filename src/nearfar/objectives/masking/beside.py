"""Which candidates are contrasted with a positive where candidates are contrasted among themselves."""

from dataclasses import dataclass, replace
from typing import Literal

from nearfar.config.component import require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Mask
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class HardBeside(Mask):
    """Leaves hard negatives out of the contrast of candidates with candidates.

    Attributes:
        keep: ``others`` leaves out those of the positive's own anchor, ``nobody`` every candidate that belongs to no
            anchor.
    """

    keep: Literal["others", "nobody"] = "others"

    def __post_init__(self) -> None:
        require(self.keep in ("others", "nobody"), self, "keep", "others or nobody")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with fewer pairs among the candidates."""
        among = problem.among_candidates
        if among is None:
            return problem
        if self.keep == "nobody":
            return replace(problem, among_candidates=among & problem.positive.any(dim=0))
        listed = (problem.positive | problem.own).to(problem.anchors.dtype)
        return replace(problem, among_candidates=among & (listed.T @ listed == 0))
