"""C3, pairwise links: every better column of a row against every worse one."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.config.component import Component, require
from nearfar.objectives.criteria.links import Link, Logistic
from nearfar.objectives.criteria.rows import Unjudged, front, looked_at, of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs:
    """The pairs of a step: for each row some better columns (places), each against all columns.

    Attributes:
        difference: logit of the column minus that of the better one.
        gap: how much the better one is better.
        usable: the column is worse than the better one.
    """

    difference: Float[Tensor, "row place column"]
    gap: Float[Tensor, "row place column"]
    usable: Bool[Tensor, "row place column"]


LOGISTIC = Logistic()


class PairWeight(Component):
    """Weights of pairs, without gradient."""

    def apply(self, pairs: Pairs, places: Tensor, problem: Problem, known: Tensor) -> tuple[Tensor, Tensor]:
        """The weight of each pair, and which pairs are left.

        Args:
            pairs: all pairs.
            places: which column each better one is.
            problem: the problem that they come from.
            known: the columns of each row that are compared.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Pairwise(Criterion):
    """The mean over the pairs of a row of a link of ``Z[worse] - Z[better]``.

    Attributes:
        link: what is done with the difference.
        compare: ``positives`` are better than negatives; with ``grades`` a higher grade is better than a lower one.
        unjudged: for grades, whether a column that nobody judged is a ``negative`` of grade 0 or ``ignored``.
        select: ``all`` pairs of a row; the ``hardest`` one; or for each better column the ``semi_hard`` one, which is
            the nearest of the worse that are below it, and the farthest of them when none is.
        weight: weights of pairs; none for equal ones.
    """

    link: Link = LOGISTIC
    compare: Literal["positives", "grades"] = "positives"
    unjudged: Unjudged = "negative"
    select: Literal["all", "hardest", "semi_hard"] = "all"
    weight: PairWeight | None = None

    def __post_init__(self) -> None:
        require(isinstance(self.link, Link), self, "link", "a link, such as Hinge(margin=0.2)")
        require(self.compare in ("positives", "grades"), self, "compare", "positives or grades")
        require(self.unjudged in ("negative", "ignored"), self, "unjudged", "negative or ignored")
        require(self.select in ("all", "hardest", "semi_hard"), self, "select", "all or hardest or semi_hard")
        weighs = self.weight is None or (isinstance(self.weight, PairWeight) and self.select == "all")
        require(weighs, self, "weight", "a weight of pairs, for select=all, or none")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a pair."""
        losses, counted = self._losses(problem)
        total = torch.where(counted, losses, 0.0).sum(dim=(1, 2))
        return of_rows(problem, total / counted.sum(dim=(1, 2)).clamp(min=1), counted.any(dim=2).any(dim=1))

    def _losses(self, problem: Problem) -> tuple[Float[Tensor, "row place other"], Bool[Tensor, "row place other"]]:
        """The loss of every pair that is selected, and which of them there are."""
        if self.compare == "positives":
            known, better, grades = problem.valid, problem.positive, problem.positive.to(problem.z.dtype)
        else:
            known, grades = looked_at(problem, self.unjudged), problem.grades
            better = known & (grades > grades.masked_fill(~known, float("inf")).amin(dim=1, keepdim=True))
        places, chosen = front(better)
        gap = grades.gather(1, places)[:, :, None] - grades[:, None, :]
        usable = chosen[:, :, None] & known[:, None, :] & (gap > 0)
        difference = problem.z[:, None, :] - problem.z.gather(1, places)[:, :, None]
        if self.select == "hardest":
            difference, gap, usable = _hardest(difference, usable)
        elif self.select == "semi_hard":
            difference, gap, usable = _semi_hard(difference, usable)
        losses = self.link.of(torch.where(usable, difference, 0.0), torch.where(usable, gap, 1.0))
        if self.weight is not None:
            pairs = Pairs(difference=difference, gap=gap, usable=usable)
            weights, usable = self.weight.apply(pairs, places, problem, known)
            losses = weights.detach() * losses
        return losses, usable


@dataclass(frozen=True, kw_only=True)
class PooledPairwise(Pairwise):
    """The same with one mean over the pairs of all rows, so that rows with many pairs weigh more.

    Attributes:
        link: what is done with the difference.
        compare: what is better than what: ``positives`` or ``grades``.
        unjudged: for grades, what a column is that nobody judged: a ``negative`` of grade 0 or ``ignored``.
        select: which pairs: ``all``, ``hardest`` or ``semi_hard``.
        weight: weights of pairs; none for equal ones.
        active: only pairs with a loss count.
    """

    active: bool = False
    scope: ClassVar[Scope] = "batch"

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the batch."""
        losses, usable = self._losses(problem)
        counted = usable & (losses.detach() > 1e-16) if self.active else usable
        loss = torch.where(counted, losses, 0.0).sum() / counted.sum().clamp(min=1)
        return of_the_whole(loss, usable.any(dim=2).any(dim=1))


def _hardest(
    difference: Float[Tensor, "row place column"], usable: Bool[Tensor, "row place column"]
) -> tuple[Float[Tensor, "row 1 1"], Float[Tensor, "row 1 1"], Bool[Tensor, "row 1 1"]]:
    """The pair of each row with the greatest difference: its weakest better column and its strongest worse one."""
    found = difference.masked_fill(~usable, float("-inf")).flatten(1).amax(dim=1)[:, None, None]
    there = usable.flatten(1).any(dim=1)[:, None, None]
    return found, torch.ones_like(found), there


def _semi_hard(
    difference: Float[Tensor, "row place column"], usable: Bool[Tensor, "row place column"]
) -> tuple[Float[Tensor, "row place 1"], Float[Tensor, "row place 1"], Bool[Tensor, "row place 1"]]:
    """For each better column the strongest of the worse that are below it, or the weakest of all."""
    below = usable & (difference < 0)
    nearest = difference.masked_fill(~below, float("-inf")).amax(dim=2, keepdim=True)
    farthest = difference.masked_fill(~usable, float("inf")).amin(dim=2, keepdim=True)
    found = torch.where(below.any(dim=2, keepdim=True), nearest, farthest)
    return found, torch.ones_like(found), usable.any(dim=2, keepdim=True)
