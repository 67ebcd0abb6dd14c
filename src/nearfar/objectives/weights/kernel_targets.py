"""Graded targets from another encoder: pairs are as positive as they are near to one another there."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.config.component import is_number, require
from nearfar.objectives.logits.kernel import student, union
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class KernelTargets(Weight):
    """Grades between 0 and 1 from the distances of the guide's vectors, by a Student kernel.

    A positive pair takes the squared distance to the nearest of the others, over 10,000: it is as near as can be. Wants
    both sides as rows and columns. The guide carries gradient if the caller lets it.

    Attributes:
        freedom: degrees of freedom; above 0.
        sigma: the squared distance counts in units of it; above 0.
    """

    freedom: float = 100.0
    sigma: float = 10.0
    needs: ClassVar[frozenset[str]] = frozenset({"guide_anchors", "guide_candidates"})
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_number(self.freedom) and self.freedom > 0, self, "freedom", "a number above 0")
        require(is_number(self.sigma) and self.sigma > 0, self, "sigma", "a number above 0")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with graded targets."""
        guide = problem.guide_anchors
        assert guide is not None
        if problem.positive.shape != (len(guide), len(guide)):
            union(problem.grades)  # says what is wrong
        squares = guide.square().sum(dim=1)
        squared = (squares[:, None] + squares[None, :] - 2 * guide @ guide.T).clamp(min=0)
        itself = torch.eye(len(squared), dtype=torch.bool, device=squared.device)
        others = squared.masked_fill(itself | problem.positive, float("inf")).amin(dim=1, keepdim=True)
        others = torch.where(torch.isfinite(others), others, 0.0)
        squared = torch.where(problem.positive, others / 1e4, squared)
        return replace(problem, grades=union(student(squared, self.freedom, self.sigma)))
