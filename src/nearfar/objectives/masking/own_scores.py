"""False negatives and hardest negatives by the similarities of the model that is trained: no guide is needed."""

from dataclasses import dataclass, replace

import torch

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.masking.nearer import MarginStrategy, without_nearer
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Mask
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class ScoreMask(Mask):
    """Takes out the negatives that the model itself finds nearer than the positive, less a margin.

    ``GuideMask`` without a guide. With a margin below 0 only what beats the positive clearly goes out (UniME, arXiv
    2504.17432: -0.1 on cosines), and likely false negatives just below it stay. A relative margin of 0.05 is the limit
    of 95 % of the positive's score (NV-Retriever, arXiv 2407.15831) within the batch. A positive that all negatives
    beat by the margin has none left, and is not pulled: start from a model that ranks well. Pairs of one side, where
    the criterion contrasts them, are held to the same measure. A row with several positives is held to the least of
    them. Equal to the measure stays in; a positive always does.

    Attributes:
        margin: how far below the positive a negative must be; below 0, how far above it may be.
        margin_strategy: ``absolute`` subtracts the margin from the similarity of the positive; ``relative`` subtracts
            it as a share of that similarity's magnitude.
    """

    margin: float = -0.1
    margin_strategy: MarginStrategy = "absolute"

    def __post_init__(self) -> None:
        require(is_number(self.margin), self, "margin", "a number")
        require(self.margin_strategy in ("absolute", "relative"), self, "margin_strategy", "absolute or relative")

    @torch.no_grad()
    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with fewer negatives."""
        left, right = problem.anchors, problem.candidates  # of length 1 where cosines are compared
        return without_nearer(
            problem, problem.scores, lambda: left @ left.T, lambda: right @ right.T, self.margin, self.margin_strategy
        )


@dataclass(frozen=True, kw_only=True)
class HardestNegatives(Mask):
    """Keeps the negatives of each row that are most similar to it; a row with fewer keeps them all.

    Of equal ones at the limit the earlier columns stay. Masks before this one come first, so that what they take out
    does not count.

    Attributes:
        count: how many; above 0.
    """

    count: int = 8

    def __post_init__(self) -> None:
        require(is_whole(self.count) and self.count > 0, self, "count", "a whole number above 0")

    @torch.no_grad()
    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with fewer negatives."""
        negative = problem.negative
        if negative.shape[1] <= self.count:
            return problem
        scores = problem.scores.masked_fill(~negative, float("-inf"))
        limit = scores.topk(self.count, dim=1).values[:, -1:]
        above = negative & ~(scores <= limit)  # what is not a number stays, so that the loss shows it
        equal = negative & (scores == limit)
        room = self.count - above.sum(dim=1, keepdim=True)
        return replace(
            problem, valid=problem.positive | above | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= room))
        )
