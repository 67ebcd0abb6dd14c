"""Negatives that are nearer than the positive by more than they should be, by whatever measures nearness."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.objectives.problem import Problem

MarginStrategy = Literal["absolute", "relative"]


def without_nearer(
    problem: Problem,
    across: Float[Tensor, "row column"],
    anchors: Callable[[], Float[Tensor, "row row"]],
    candidates: Callable[[], Float[Tensor, "column column"]],
    margin: float,
    margin_strategy: MarginStrategy,
) -> Problem:
    """The problem without the negatives that are nearer than the positive, less a margin.

    A row with several positives, or a column with several anchors, is held to the least of them; one without any keeps
    all. Equal to the measure stays in; a positive always does.

    Args:
        problem: rows and columns.
        across: how near each column is to each row.
        anchors: how near anchors are to one another; asked for where a criterion contrasts them.
        candidates: the same of candidates.
        margin: how far below the positive a negative must be.
        margin_strategy: ``absolute`` subtracts the margin, ``relative`` that share of the positive's magnitude.
    """

    def limit(scores: Float[Tensor, "one other"], positive: Bool[Tensor, "one other"]) -> Float[Tensor, " one 1"]:
        """Above what a negative goes out; infinity where there is no positive."""
        found = positive.any(dim=1, keepdim=True)
        least = torch.where(found, scores.masked_fill(~positive, float("inf")).amin(dim=1, keepdim=True), 0.0)
        slack = margin * (least.abs() if margin_strategy == "relative" else 1.0)
        return torch.where(found, least - slack, float("inf"))

    row = limit(across, problem.positive)
    valid = problem.positive | (problem.valid & ~(across > row))
    among_anchors, among_candidates = problem.among_anchors, problem.among_candidates
    if among_anchors is not None:
        among_anchors = among_anchors & ~(anchors() > row)
    if among_candidates is not None:
        among_candidates = among_candidates & ~(candidates() > limit(across.T, problem.positive.T))
    return replace(problem, valid=valid, among_anchors=among_anchors, among_candidates=among_candidates)
