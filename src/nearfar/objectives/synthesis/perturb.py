"""Negatives moved towards the anchor, positives moved away from it, along the slope of their similarity."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.config.component import is_number, require
from nearfar.objectives.criteria.hypersphere import matched_pairs
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Synthesis
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.columns import append, append_private
from nearfar.objectives.synthesis.draws import sorted_members
from nearfar.objectives.synthesis.mix import pool, require_whole
from nearfar.types import Origin


@dataclass(frozen=True, kw_only=True)
class Perturb(Synthesis):
    """Harder copies of unit vectors, which only the row that made them sees.

    For a negative n and the anchor q, ``n + epsilon * (q - (q n) n)`` at length 1, beside n. For a positive, minus in
    the place of plus, in its place. The copies carry no gradient, and there is no second derivative.

    Attributes:
        of: ``negatives`` or ``positives``.
        epsilon: how far they go.
        unit_gradient: make the slope a unit vector, so that near and far ones go the same way.
        count: how many of the hardest negatives of a row.
    """

    of: Literal["negatives", "positives"] = "negatives"
    epsilon: float = 0.1
    unit_gradient: bool = False
    count: int = 8
    detached: ClassVar[tuple[str, ...]] = ("perturbed vectors",)

    def __post_init__(self) -> None:
        require(self.of in ("negatives", "positives"), self, "of", "negatives or positives")
        require(is_number(self.epsilon) and self.epsilon >= 0, self, "epsilon", "a number of at least 0")
        require(isinstance(self.unit_gradient, bool), self, "unit_gradient", "true or false")
        require_whole(self, "count", 0)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the copies as columns."""
        anchors, candidates = problem.anchors.detach(), problem.candidates.detach()
        if self.of == "positives":
            rows, columns = matched_pairs(problem)
            moved = self._moved(anchors[rows], candidates[columns], -self.epsilon)
            mine = torch.arange(len(anchors), device=rows.device)[:, None] == rows[None, :]
            grades = torch.where(mine, problem.grades[:, columns], 0.0)
            problem = replace(problem, valid=problem.negative, positive=torch.zeros_like(problem.positive))
            return append(problem, moved, mine, Origin.MIXED, positive=mine, grades=grades)
        most = min(self.count, len(candidates))
        allowed = pool(problem, "all", most)
        places = sorted_members(allowed)[:, :most]
        moved = self._moved(anchors[:, None], candidates[places], self.epsilon)
        return append_private(problem, moved, allowed.gather(1, places))

    def _moved(
        self, anchors: Float[Tensor, "... dim"], vectors: Float[Tensor, "... dim"], size: float
    ) -> Float[Tensor, "... dim"]:
        """Unit vectors, moved along the slope of their cosine with the anchors."""
        slope = anchors - (anchors * vectors).sum(dim=-1, keepdim=True) * vectors
        if self.unit_gradient:
            slope = normalize(slope, dim=-1)
        return normalize(vectors + size * slope, dim=-1)
