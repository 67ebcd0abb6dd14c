"""One positive a row: what an objective for a single label does with several."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Candidates
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class EachPositive(Candidates):
    """A row for every pair of an anchor and one of its positives, in which its other positives are left out.

    The loss of an anchor is the mean over its rows, so that an objective that is defined for one label a row, and does
    more with a row than add up its columns, becomes the mean of its values for each label alone.
    """

    several_rows: ClassVar[bool] = True

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with a row for each positive pair."""
        rows, columns = problem.positive.nonzero(as_tuple=True)
        positive = torch.zeros_like(problem.positive[rows])
        positive[torch.arange(len(rows), device=rows.device), columns] = True

        def followed(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[rows]

        valid = problem.negative[rows] | positive
        return replace(
            problem,
            anchors=problem.anchors[rows],
            positive=positive,
            valid=valid,
            judged=problem.judged[rows] & valid,
            grades=problem.grades[rows],
            own=problem.own[rows],
            source=rows,
            row_ids=followed(problem.row_ids),
            index=followed(problem.index),
            labels=followed(problem.labels),
            teacher=followed(problem.teacher),
            guide_anchors=followed(problem.guide_anchors),
        )
