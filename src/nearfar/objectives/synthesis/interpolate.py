"""Interpolated negatives: columns that all rows share, each a mixture of two candidates or queue entries."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from nearfar.config.component import require
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Synthesis
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.columns import append
from nearfar.objectives.synthesis.draws import beta
from nearfar.objectives.synthesis.mix import require_concentration
from nearfar.types import Origin


@dataclass(frozen=True, kw_only=True)
class InterpolateNegatives(Synthesis):
    """Every column is mixed with another one, ``c * column + (1 - c) * column[permuted]``, as a negative.

    Positives stay as they are. A mixture is a negative of a row only if both of its components are, so that a row may
    see fewer negatives than before.

    Attributes:
        concentration: the two parameters of the beta distribution of c, drawn once a call.
        replace: the mixtures take the place of the negatives; otherwise they come beside them.
        renormalise: bring the mixture back to length 1.
        detach: no gradient flows through the mixture.
        seed: of the draws.
    """

    concentration: tuple[float, float] = (1.6, 1.6)
    replace: bool = True
    renormalise: bool = True
    detach: bool = True
    seed: int = 0
    detached: ClassVar[tuple[str, ...]] = ("mixtures, with detach",)

    def __post_init__(self) -> None:
        require_concentration(self, "concentration")
        for field in ("replace", "renormalise", "detach"):
            require(isinstance(getattr(self, field), bool), self, field, "true or false")

    def make_memory(self, dim: int) -> nn.Module:
        """The draws."""
        return Draws(self.seed)

    def draw(self, problem: Problem, generator: torch.Generator) -> tuple[Float[Tensor, ""], Int[Tensor, " column"]]:
        """The share of the first component and the permutation of the second ones. Fixed points may occur."""
        share = beta(generator, self.concentration, (), problem.anchors)
        order = torch.randperm(len(problem.candidates), generator=generator)
        return share, order.to(problem.anchors.device)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the mixtures as columns."""
        share, order = self.draw(problem, memory.of(Draws).generator())
        columns = problem.candidates.detach() if self.detach else problem.candidates
        mixed = share * columns + (1 - share) * columns[order]
        if self.renormalise:
            mixed = normalize(mixed, dim=1)
        both = problem.negative & problem.negative[:, order]
        if self.replace:
            problem = replace(problem, valid=problem.valid & problem.positive)
        return append(problem, mixed, both, Origin.MIXED)
