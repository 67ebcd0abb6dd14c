"""Weights of negatives by how far their labels are from that of the row."""

from dataclasses import dataclass, replace
from typing import Literal

import torch

from nearfar.config.component import require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class LabelGap(Weight):
    """Negatives count by the distance d of labels, which the grades have with a minus sign.

    Attributes:
        weighting: ``growing`` is d + 1, ``shrinking`` 1 / (d + 1), ``none`` 1.
    """

    weighting: Literal["growing", "shrinking", "none"] = "growing"

    def __post_init__(self) -> None:
        known = self.weighting in ("growing", "shrinking", "none")
        require(known, self, "weighting", "growing or shrinking or none")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with a bias on its negatives."""
        if self.weighting == "none":
            return problem
        bias = torch.where(problem.negative, torch.log1p(problem.grades.abs()), 0.0)
        bias = bias if self.weighting == "growing" else -bias
        return replace(problem, bias=bias if problem.bias is None else problem.bias + bias)
