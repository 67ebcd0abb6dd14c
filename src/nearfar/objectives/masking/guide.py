"""False negatives by the judgement of another encoder."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import normalize

from nearfar.config.component import is_number, require
from nearfar.objectives.masking.nearer import MarginStrategy, without_nearer
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Mask
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class GuideMask(Mask):
    """Takes out the negatives that a guide finds nearer than the positive, less a margin.

    Pairs of one side, where the criterion contrasts them, are held to the same measure: anchors to that of the row,
    candidates to that of the positive. A row with several positives, or a column with several anchors, is held to the
    least of them. Equal to the measure stays in; a positive always does.

    Attributes:
        margin: how far below the positive a negative must be.
        margin_strategy: ``absolute`` subtracts the margin from the guide's cosine of the positive; ``relative``
            subtracts it as a share of that cosine's magnitude.
    """

    margin: float = 0.0
    margin_strategy: MarginStrategy = "absolute"
    needs: ClassVar[frozenset[str]] = frozenset({"guide_anchors", "guide_candidates"})

    def __post_init__(self) -> None:
        require(is_number(self.margin), self, "margin", "a number")
        require(self.margin_strategy in ("absolute", "relative"), self, "margin_strategy", "absolute or relative")

    @torch.no_grad()
    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with fewer negatives."""
        assert problem.guide_anchors is not None
        assert problem.guide_candidates is not None
        left, right = normalize(problem.guide_anchors, dim=1), normalize(problem.guide_candidates, dim=1)
        return without_nearer(
            problem, left @ right.T, lambda: left @ left.T, lambda: right @ right.T, self.margin, self.margin_strategy
        )
