"""Both sides by label: texts whose labels are equal belong together, and grades say how far labels are apart."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.objectives.candidates.sides import BothSides
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Candidates
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class LabelledSides(Candidates):
    """Anchors and candidates are rows and columns; positives are the texts with exactly the same label.

    A candidate has the label of the first anchor that it belongs to, and is left out where it belongs to none. The
    grade of a pair is minus the distance of their labels.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    across_rows: ClassVar[bool] = True

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem over both sides, anchors first."""
        assert problem.labels is not None
        both = BothSides(related="positive").apply(problem, memory)
        assert both.labels is not None
        labels = both.labels.to(problem.anchors.dtype)
        belongs = torch.cat([torch.ones_like(problem.positive[:, 0]), problem.positive.any(dim=0)])
        known = belongs & torch.isfinite(labels)
        labels = torch.where(known, labels, 0.0)
        valid = both.valid & known[:, None] & known[None, :]
        distance = (labels[:, None] - labels[None, :]).abs()
        return replace(
            both,
            positive=valid & (distance == 0),
            valid=valid,
            judged=valid,
            grades=torch.where(valid, -distance, 0.0),
            labels=labels,
            own=torch.zeros_like(valid),
        )
