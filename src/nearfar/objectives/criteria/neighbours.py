"""A score of how well the nearest neighbours of a batch agree with its classes."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.config.component import is_whole, require
from nearfar.objectives.criteria.rows import masked_mean
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class NeighbourScore(Criterion):
    """``-log`` of the mean of how near own neighbours, how far others', and how many own ones there are (ICNN).

    Of the k nearest of each row, ``near = 1 - mean scaled distance to positives``, scaled by the nearest negative
    within the window and then by the largest of the row where that is above 1; ``far = mean distance to negatives over
    the largest of these``, 1 where there is none at all; ``share`` the part that is positive, without gradient. The
    score is ``((near + far) / 2 + share) / 2``, each averaged over the rows that have it.

    Attributes:
        neighbours: k.
        window: within how many nearest the nearest negative is sought; none for all.
    """

    neighbours: int = 4
    window: int | None = None
    scope: ClassVar[Scope] = "batch"
    detached: ClassVar[tuple[str, ...]] = ("share of own neighbours",)

    def __post_init__(self) -> None:
        for field in ("neighbours", "window"):
            value = getattr(self, field)
            whole = is_whole(value) and value > 0
            require(whole or (field == "window" and value is None), self, field, "a whole number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the batch, for rows that have another one to compare with."""
        far = (-problem.z).masked_fill(~problem.valid, float("inf"))
        order = far.detach().argsort(dim=1, stable=True)
        there, own = problem.valid.gather(1, order), problem.positive.gather(1, order)
        ranked = torch.where(there, (-problem.z).gather(1, order), 0.0)
        place = torch.arange(ranked.shape[1], device=ranked.device)
        near = there & (place < self.neighbours)
        kept = there.any(dim=1)
        rivals = there & ~own & (place < ranked.shape[1] if self.window is None else place < self.window)
        positives, negatives = near & own, near & ~own
        tightness = 1 - _over_rows(masked_mean(self._scaled(ranked, rivals, near), positives), positives.any(dim=1))
        apart = _over_rows(masked_mean(ranked, negatives), negatives.any(dim=1))
        farthest = torch.where(negatives, ranked, 0.0).amax() if ranked.numel() else ranked.sum()
        apart = torch.where(negatives.any(), apart / torch.where(farthest > 0, farthest, 1.0), 1.0)
        share = _over_rows(masked_mean(own.to(ranked.dtype), near), kept)
        # A score of 0 has no logarithm.
        score = (((tightness + apart) / 2 + share) / 2).clamp(min=1e-6)
        return of_the_whole(-score.log(), kept)

    def _scaled(
        self,
        ranked: Float[Tensor, "row column"],
        rivals: Bool[Tensor, "row column"],
        near: Bool[Tensor, "row column"],
    ) -> Float[Tensor, "row column"]:
        """Distances over that of the nearest rival, at most 1 in a row; 0 in rows without rival."""
        some = rivals.any(dim=1, keepdim=True)
        nearest = ranked.masked_fill(~rivals, float("inf")).amin(dim=1, keepdim=True)
        nearest = torch.where(some & (nearest > 0), nearest, 1.0)
        scaled = torch.where(some & near, ranked / nearest, 0.0)
        return scaled / scaled.amax(dim=1, keepdim=True).clamp(min=1)


def _over_rows(values: Float[Tensor, " row"], mask: Bool[Tensor, " row"]) -> Float[Tensor, ""]:
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)
