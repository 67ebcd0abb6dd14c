"""Weights of pairs by what exchanging them would change in nDCG."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.criteria.pairwise import Pairs, PairWeight
from nearfar.objectives.criteria.rows import gains_of, ideal_gain
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class GainOfExchange(PairWeight):
    """LambdaLoss's NDCGLoss2++: the difference in gain times two differences of discounts, in bits.

    ``|G_a - G_b| (mu |1 / D(d) - 1 / D(d + 1)| + |1 / D(r_a) - 1 / D(r_b)|) / log 2`` with the gains G over the best
    discounted gain of the row, ``D(r) = log2(1 + r)``, ranks r by similarity and ``d = |r_a - r_b|``.

    Attributes:
        top: pairs of which neither is among so many first ones are left out; none for no such rule.
        mu: weight of the first difference; at least 0.
    """

    top: int | None = None
    mu: float = 10.0
    detached: ClassVar[tuple[str, ...]] = ("weights of pairs",)

    def __post_init__(self) -> None:
        whole = is_whole(self.top) and self.top > 0
        require(self.top is None or whole, self, "top", "a whole number above 0, or none")
        require(is_number(self.mu) and self.mu >= 0, self, "mu", "a number of at least 0")

    def apply(
        self, pairs: Pairs, places: Int[Tensor, "row place"], problem: Problem, known: Bool[Tensor, "row column"]
    ) -> tuple[Float[Tensor, "row place column"], Bool[Tensor, "row place column"]]:
        """The weight of each pair, and the pairs that reach the top."""
        ranks = ranks_of(problem.z, known)
        gains = gains_of(problem.grades)
        ideal = ideal_gain(gains, known, self.top)
        gains = gains / torch.where(ideal == 0, 1.0, ideal)[:, None]
        one, other = ranks.gather(1, places)[:, :, None], ranks[:, None, :]
        apart = (one - other).abs().clamp(min=1)
        by_gap = (1 / torch.log2(1 + apart) - 1 / torch.log2(2 + apart)).abs()
        by_place = (1 / torch.log2(1 + one) - 1 / torch.log2(1 + other)).abs()
        change = (gains.gather(1, places)[:, :, None] - gains[:, None, :]).abs()
        usable = pairs.usable if self.top is None else pairs.usable & (torch.minimum(one, other) <= self.top)
        return change * (self.mu * by_gap + by_place) / math.log(2), usable


def ranks_of(scores: Float[Tensor, "row column"], known: Bool[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    """The rank of each known column by its score, 1 for the highest; equal ones in their order."""
    order = scores.detach().masked_fill(~known, float("-inf")).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(1, scores.shape[1] + 1, dtype=scores.dtype, device=scores.device)
    return torch.zeros_like(scores).scatter(1, order, places.expand_as(scores))
