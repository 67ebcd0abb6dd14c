"""Both sides as rows, each against negatives of its own side."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Candidates
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class SameSideNegatives(Candidates):
    """Anchors and candidates are rows; their positives are on the other side, their negatives on their own.

    Attributes:
        frozen: the columns carry no gradient: what is moved is the row.
    """

    frozen: bool = True
    detached: ClassVar[tuple[str, ...]] = ("columns, with frozen",)
    across_rows: ClassVar[bool] = True

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem over both sides, anchors first."""
        both = BothSides().apply(problem, memory)
        is_anchor = torch.arange(len(both.anchors), device=both.valid.device) < len(problem.anchors)
        beside = is_anchor[:, None] == is_anchor[None, :]
        valid = both.positive | (both.valid & beside)
        return replace(
            both,
            valid=valid,
            judged=both.judged & valid,
            own=both.own & valid,
            candidates=both.candidates.detach() if self.frozen else both.candidates,
        )
