"""Margins: what a positive has to be better by than the objective would ask of it otherwise."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Margin(Logits):
    """A margin on the logits of positives, before the temperature.

    Attributes:
        margin: how much, at least 0; for an angle in radians.
        on: ``score`` subtracts it; ``angle`` takes the logit for a cosine and adds the margin to its angle. Where that
            would go beyond pi, the cosine is lowered by ``margin * sin(margin)``, so that the order of angles is kept.
        gradient: of an angle; ``exact``, or ``straight_through`` as if only the value were another one.
    """

    margin: float = 0.35
    on: Literal["score", "angle"] = "score"
    gradient: Literal["exact", "straight_through"] = "exact"
    detached: ClassVar[tuple[str, ...]] = ("change of the angle, with gradient=straight_through",)

    def __post_init__(self) -> None:
        require(is_number(self.margin) and self.margin >= 0, self, "margin", "a number of at least 0")
        require(self.on in ("score", "angle"), self, "on", "score or angle")
        require(self.on == "score" or self.margin < math.pi, self, "margin", "a number from 0 to below pi (in radians)")
        require(self.gradient in ("exact", "straight_through"), self, "gradient", "exact or straight_through")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with harder positives."""
        if self.on == "score":
            changed = problem.z - self.margin
        else:
            changed = widened(problem.z, self.margin)
            if self.gradient == "straight_through":
                changed = problem.z + (changed - problem.z).detach()
        return replace(problem, logits=torch.where(problem.positive, changed, problem.z))


def widened(cosines: Float[Tensor, "row column"], margin: float) -> Float[Tensor, "row column"]:
    """The cosine of the angle plus a margin, with a finite slope also at an angle of 0."""
    squared = 1 - cosines.square()
    # The sine has an infinite slope at 0; below the resolution of the numbers it is 0, without gradient.
    some = squared > 4 * torch.finfo(cosines.dtype).eps
    sine = torch.where(some, torch.where(some, squared, 1.0).sqrt(), 0.0)
    turned = cosines * math.cos(margin) - sine * math.sin(margin)
    beyond = cosines < -math.cos(margin)
    return torch.where(beyond, cosines - margin * math.sin(margin), turned)
