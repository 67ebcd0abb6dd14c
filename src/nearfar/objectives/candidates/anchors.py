"""Anchors against anchors: rows that belong together because their labels overlap."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Candidates
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class SharedPositives(Candidates):
    """The columns are the anchors themselves, and positives are those whose own positives overlap.

    An anchor is no column of its own row, nor is one with the same text.

    Attributes:
        overlap: two anchors belong together when the positives that they share are more than this part of those that
            either has; from 0 to below 1.
    """

    overlap: float = 0.0
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_number(self.overlap) and 0 <= self.overlap < 1, self, "overlap", "a number from 0 to below 1")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem of anchors among themselves."""
        related = problem.positive.to(problem.anchors.dtype)
        shared, sizes = related @ related.T, related.sum(dim=1)
        either = sizes[:, None] + sizes[None, :] - shared
        valid = ~torch.eye(len(related), dtype=torch.bool, device=related.device)
        if problem.row_ids is not None:
            valid = valid & (problem.row_ids[:, None] != problem.row_ids[None, :])
        positive = (shared > self.overlap * either) & (shared > 0) & valid
        turned = problem.transpose()
        return replace(
            problem,
            candidates=problem.anchors,
            positive=positive,
            valid=valid,
            judged=valid,
            grades=positive.to(related.dtype),
            origins=turned.origins,
            own=torch.zeros_like(valid),
            column_ids=problem.row_ids,
            teacher=None,
            guide_candidates=problem.guide_anchors,
        )
