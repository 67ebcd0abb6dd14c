"""Further negatives that belong to no row: pairs of anchors, pooled over the batch."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.objectives.masks import same_side
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class PooledPairs(Weight):
    """The mass of all pairs of anchors that belong to different columns, added to the denominator of every row.

    Comes after the temperature, and compares anchors by their dot product, which for unit vectors is the cosine.

    Attributes:
        whisker: pairs are left out that lie farther from the quartiles of the pool than this many times their
            distance, on both sides; none keeps all of them. The quartiles carry no gradient.
    """

    whisker: float | None = 1.5
    detached: ClassVar[tuple[str, ...]] = ("quartiles of the pool",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        usable = self.whisker is None or (is_number(self.whisker) and self.whisker >= 0)
        require(usable, self, "whisker", "a number of at least 0, or none")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the mass of the pool in every row."""
        temperature, known = problem.temperature, problem.positive.any(dim=1)
        assert temperature is not None
        among = same_side(problem.masks, problem.row_ids, problem.column_ids) & known[:, None] & known[None, :]
        pairs = torch.triu(among, diagonal=1).reshape(1, -1)
        scores = (problem.anchors @ problem.anchors.T).reshape(1, -1)
        if self.whisker is not None:
            low, high = quantiles(scores.detach(), pairs, (0.25, 0.75))
            reach = self.whisker * (high - low)
            pairs = pairs & (scores >= low - reach) & (scores <= high + reach)
        mass = masked_logsumexp(scores / temperature, pairs)[:, None]
        if problem.extra is not None:  # a sum of two empty masses would have no gradient
            mass = torch.logaddexp(mass.clamp(min=torch.finfo(mass.dtype).min), problem.extra)
        return replace(problem, extra=mass.expand(len(known), mass.shape[1]))


def quantiles(
    values: Float[Tensor, "1 pair"], mask: Bool[Tensor, "1 pair"], shares: tuple[float, ...]
) -> tuple[Float[Tensor, ""], ...]:
    """Quantiles of the values under a mask, interpolated linearly, without waiting for the device; of any number."""
    ordered = values.masked_fill(~mask, float("inf")).sort(dim=1).values[0]
    last = (mask.sum() - 1).clamp(min=0).double()
    found = []
    for share in shares:
        place = share * last
        below, above = place.floor().long(), place.ceil().long()
        some = mask.any()
        low, high = (torch.where(some, ordered.take(each), 0.0) for each in (below, above))
        found.append(low + (place - below).to(values.dtype) * (high - low))
    return tuple(found)
