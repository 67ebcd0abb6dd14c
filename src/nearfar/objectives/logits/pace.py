"""Logits whose steepness depends on how far a similarity is from where it should be."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class CirclePace(Logits):
    """The Circle loss's own pace for each pair (arXiv 2002.10857).

    A positive becomes ``gamma a (s - 1 + margin)`` with ``a = max(0, 1 + margin - s)``, a negative ``gamma a (s -
    margin)`` with ``a = max(0, s + margin)``. No gradient flows through ``a``.

    Attributes:
        margin: the relaxation.
        gamma: the steepness; above 0.
    """

    margin: float = 0.25
    gamma: float = 256.0
    detached: ClassVar[tuple[str, ...]] = ("pace of each pair",)

    def __post_init__(self) -> None:
        require(is_number(self.margin), self, "margin", "a number")
        require(is_number(self.gamma) and self.gamma > 0, self, "gamma", "a number above 0")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with paced logits."""
        z = problem.z
        away = torch.where(problem.positive, 1 + self.margin - z, z + self.margin)
        beyond = torch.where(problem.positive, z - 1 + self.margin, z - self.margin)
        return replace(problem, logits=self.gamma * away.clamp(min=0).detach() * beyond)


@dataclass(frozen=True, kw_only=True)
class RoundedDistance(Logits):
    """Distances whose slope at 0 is 0: ``-sqrt(d * d + epsilon)`` of a similarity ``-d``.

    Attributes:
        epsilon: what is added inside the root; above 0.
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        require(is_number(self.epsilon) and self.epsilon > 0, self, "epsilon", "a number above 0")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with rounded distances as logits."""
        return replace(problem, logits=-(problem.z.square() + self.epsilon).sqrt())
