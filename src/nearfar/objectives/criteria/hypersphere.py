"""C9, statistics of matched pairs on the hypersphere: how near the two of a pair are, and how evenly all are spread.

A matched pair is an anchor with one of its positives; an anchor with several positives is in several pairs.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.objectives.masks import same_side
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


def matched_pairs(problem: Problem) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Row and column of every positive pair."""
    rows, columns = problem.positive.nonzero(as_tuple=True)
    return rows, columns


def mean_by_row(values: Float[Tensor, " pair"], rows: Int[Tensor, " pair"], problem: Problem) -> Float[Tensor, " row"]:
    """The mean of the pairs of each row; 0 for a row without pairs."""
    sums = values.new_zeros(len(problem.anchors)).index_add(0, rows, values)
    return sums / problem.positive.sum(dim=1).clamp(min=1)


@dataclass(frozen=True, kw_only=True)
class PairDistance(Criterion):
    """The distance of an anchor to its positive, to a power; mean over the positives of a row.

    Attributes:
        exponent: the power; at least 1. With 2 it is the squared distance.
        over: ``sum`` adds up the dimensions, ``mean`` divides the result by their number.
    """

    exponent: float = 2.0
    over: Literal["sum", "mean"] = "sum"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"

    def __post_init__(self) -> None:
        require(is_number(self.exponent) and self.exponent >= 1, self, "exponent", "a number of at least 1")
        require(self.over in ("sum", "mean"), self, "over", "sum or mean")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive."""
        rows, columns = matched_pairs(problem)
        squared = (problem.anchors[rows] - problem.candidates[columns]).square().sum(dim=1)
        # A root has an infinite slope at 0, so what is 0 takes a finite detour.
        apart = squared > 0
        powers = torch.where(apart, torch.where(apart, squared, 1.0) ** (self.exponent / 2), squared)
        if self.over == "mean":
            powers = powers / problem.anchors.shape[1]
        return Outcome(mean_by_row(powers, rows, problem), problem.positive.any(dim=1))


@dataclass(frozen=True, kw_only=True)
class GaussianPotential(Criterion):
    """The log of the Gaussian potential ``exp(-decay * distance ** 2)``, added up over pairs that should be apart.

    Texts that have to do with each other (equal, or with a positive in common) do not repel each other.

    Attributes:
        decay: multiplies the squared distance; above 0.
        between: ``sides`` takes the anchors of the matched pairs among themselves and their candidates among
            themselves, and the mean of the two; ``across`` the anchor of one pair and the candidate of another.
        divisor: ``pairs`` takes the mean over pairs of texts, ``rows`` their sum by the number of matched pairs.
        itself: each text counts with itself too, a constant in the sum that weakens the gradient.
    """

    decay: float = 2.0
    between: Literal["sides", "across"] = "sides"
    divisor: Literal["pairs", "rows"] = "pairs"
    itself: bool = False
    scope: ClassVar[Scope] = "batch"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"

    def __post_init__(self) -> None:
        require(is_number(self.decay) and self.decay > 0, self, "decay", "a number above 0")
        require(self.between in ("sides", "across"), self, "between", "sides or across")
        require(self.divisor in ("pairs", "rows"), self, "divisor", "pairs or rows")
        require(isinstance(self.itself, bool), self, "itself", "true or false")
        require(not (self.itself and self.between == "across"), self, "itself", "false with pairs across the sides")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """One number for the batch: every row with a positive has it as its loss."""
        rows, columns = matched_pairs(problem)
        one, other = problem.anchors[rows], problem.candidates[columns]
        if self.between == "across":
            each = [self._potential(one, other, problem.negative[rows][:, columns])]
        else:
            turned = same_side(problem.masks.transpose(), problem.column_ids, problem.row_ids)
            beside = same_side(problem.masks, problem.row_ids, problem.column_ids)
            each = [
                self._potential(one, one, beside[rows][:, rows]),
                self._potential(other, other, turned[columns][:, columns]),
            ]
        values = torch.stack([value for value, _ in each])
        known = torch.stack([some for _, some in each])
        loss = torch.where(known, values, 0.0).sum() / known.sum().clamp(min=1)
        return of_the_whole(loss, problem.positive.any(dim=1))

    def _potential(
        self, one: Float[Tensor, "pair dim"], other: Float[Tensor, "pair dim"], apart: Bool[Tensor, "pair pair"]
    ) -> tuple[Float[Tensor, ""], Bool[Tensor, ""]]:
        """The log of the potential, and whether there was anything to add up."""
        squares = one.square().sum(dim=1)[:, None] + other.square().sum(dim=1)[None, :]
        squared = (squares - 2 * one @ other.T).clamp(min=0)
        if self.itself:
            own = torch.eye(len(one), dtype=torch.bool, device=one.device)
            apart, squared = apart | own, squared.masked_fill(own, 0.0)
        total = masked_logsumexp(-self.decay * squared.reshape(1, -1), apart.reshape(1, -1))[0]
        some = apart.any()
        count = apart.sum() if self.divisor == "pairs" else torch.tensor(len(one), device=one.device)
        return torch.where(some, total, 0.0) - count.clamp(min=1).to(total.dtype).log(), some
