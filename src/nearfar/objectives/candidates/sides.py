"""The candidates of a batch: the other side, or both sides at once."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from nearfar.config.component import require
from nearfar.objectives.masks import same_side
from nearfar.objectives.memory import Memory
from nearfar.objectives.outline import Outline
from nearfar.objectives.part import Candidates
from nearfar.objectives.problem import Problem, along_positives


@dataclass(frozen=True, kw_only=True)
class OtherSide(Candidates):
    """Anchors are the rows, candidates the columns: what was given, as it was given."""

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem itself."""
        return problem


@dataclass(frozen=True, kw_only=True)
class BothSides(Candidates):
    """Anchors and candidates are rows, and both are columns: the 2B x 2B matrix of two views.

    A text is no column of its own row. Across the sides the relation holds as it was given. Two texts of one side that
    have to do with each other (the same text, or a positive in common) are left out, or are positives.

    Attributes:
        related: ``ignored`` or ``positive``: what two related texts of one side are to each other.
    """

    related: Literal["ignored", "positive"] = "ignored"

    def __post_init__(self) -> None:
        require(self.related in ("ignored", "positive"), self, "related", "ignored or positive")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem over both sides, anchors first."""
        turned = problem.transpose()
        beside = self._within(problem)
        below = self._within(turned)
        nothing = torch.zeros_like(problem.own)
        grades = problem.grades
        zero, none = grades.new_zeros(len(grades), len(grades)), grades.new_zeros(grades.shape[1], grades.shape[1])
        vectors = torch.cat([problem.anchors, problem.candidates])
        guide = _joined(problem.guide_anchors, problem.guide_candidates)
        ids = _joined(problem.row_ids, problem.column_ids)
        return replace(
            problem,
            anchors=vectors,
            candidates=vectors,
            positive=_blocks(beside[0], problem.positive, below[0]),
            valid=_blocks(beside[1], problem.valid, below[1]),
            judged=_blocks(beside[0], problem.judged, below[0]),
            grades=_blocks(zero, grades, none),
            origins=torch.cat([turned.origins, problem.origins]),
            own=torch.cat(
                [
                    torch.cat([nothing.new_zeros(zero.shape), problem.own], dim=1),
                    nothing.new_zeros(len(none), len(vectors)),
                ]
            ),
            row_ids=ids,
            column_ids=ids,
            index=_followed(problem.index, problem.positive),
            labels=_followed(problem.labels, problem.positive),
            teacher=None,
            guide_anchors=guide,
            guide_candidates=guide,
        )

    def outline(self, outline: Outline) -> Outline:
        """The outline over both sides, of which a tile is a problem as it is."""
        return outline.both_sides(self.related)

    def of_tile(self, problem: Problem, memory: Memory) -> Problem:
        """The problem itself."""
        return problem

    def _within(self, problem: Problem) -> tuple[Bool[Tensor, "row row"], Bool[Tensor, "row row"]]:
        """Positive and valid pairs of the rows among themselves."""
        strangers = same_side(problem.masks, problem.row_ids, problem.column_ids)
        if self.related == "ignored":
            return torch.zeros_like(strangers), strangers
        others = ~torch.eye(len(strangers), dtype=torch.bool, device=strangers.device)
        if problem.row_ids is not None:
            others = others & (problem.row_ids[:, None] != problem.row_ids[None, :])
        return others & ~strangers, others


def _blocks(
    beside: Shaped[Tensor, "row row"], across: Shaped[Tensor, "row column"], below: Shaped[Tensor, "column column"]
) -> Shaped[Tensor, "both both"]:
    return torch.cat([torch.cat([beside, across], dim=1), torch.cat([across.T, below], dim=1)])


def _joined(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return None if one is None or other is None else torch.cat([one, other])


def _followed(values: Tensor | None, positive: Bool[Tensor, "row column"]) -> Tensor | None:
    return None if values is None else torch.cat([values, along_positives(values, positive, -1)])
