"""Extrapolated positives: anchor and positive pushed apart, as a function of their similarity."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.config.component import require
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.draws import beta
from nearfar.objectives.synthesis.mix import require_concentration


@dataclass(frozen=True, kw_only=True)
class ExtrapolatePositives(Logits):
    """The cosine of a positive becomes that of ``u q + (1 - u) k`` with ``u k + (1 - u) q``, which is lower.

    For unit vectors with cosine s that is ``s - 2 u (u - 1) (1 - s)``, and over ``1 + 2 u (u - 1) (1 - s)`` with both
    brought back to length 1. Negatives keep the cosine of the vectors themselves. It must come before the temperature.

    Attributes:
        concentration: the two parameters of the beta distribution of u - 1, drawn for each row.
        renormalise: keep the cosine within -1 and 1.
        seed: of the draws.
    """

    concentration: tuple[float, float] = (2.0, 2.0)
    renormalise: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require_concentration(self, "concentration")
        require(isinstance(self.renormalise, bool), self, "renormalise", "true or false")

    def make_memory(self, dim: int) -> nn.Module:
        """The draws."""
        return Draws(self.seed)

    def draw(self, problem: Problem, generator: torch.Generator) -> Float[Tensor, "row 1"]:
        """How far u is above 1."""
        return beta(generator, self.concentration, (len(problem.z), 1), problem.z, problem.window)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with lower logits of its positives."""
        excess = self.draw(problem, memory.of(Draws).generator())
        lowered = 2 * (1 + excess) * excess * (1 - problem.z)
        moved = problem.z - lowered
        if self.renormalise:
            moved = moved / (1 + lowered.clamp(min=0))
        return replace(problem, logits=torch.where(problem.positive, moved, problem.z))
