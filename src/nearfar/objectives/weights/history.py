"""Weights of rows by how their losses were in the passes before (dynamic bad pair mining)."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.memory import Memory, Table, mean_of_each
from nearfar.objectives.part import Outcome, Weight
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class LossHistory(Weight):
    """Takes weight from examples whose mean loss stands out: far below the others (noisy) or far above (faulty).

    With the mean mu and the deviation sd of the examples' mean losses, those at ``mu - noisy * sd`` or below, or at
    ``mu + faulty * sd`` or above, are flagged, anew whenever a pass over the data begins. The weight of a flagged row
    is ``exp(-(loss - mu) ** 2 / (2 sd ** 2))`` at its loss now; all others have 1.

    Attributes:
        noisy, faulty: how many deviations from the mean.
        warm_up: an example is not flagged before it was visited so often.
        density: the weight is the density of the normal distribution itself, as in the authors' code. It exceeds 1
            where sd is below 0.4.
        visits: a loss counts in the mean with the number of its visit over this, as in the authors' code, so that late
            ones count more and mu is not on the scale of a loss; none for plain means.
    """

    noisy: float = 2.0
    faulty: float = 2.0
    warm_up: int = 50
    density: bool = False
    visits: int | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"index"})
    detached: ClassVar[tuple[str, ...]] = ("weights of rows",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_number(self.noisy) and self.noisy >= 0, self, "noisy", "a number of at least 0")
        require(is_number(self.faulty) and self.faulty >= 0, self, "faulty", "a number of at least 0")
        require(is_whole(self.warm_up) and self.warm_up >= 1, self, "warm_up", "a whole number above 0")
        require(isinstance(self.density, bool), self, "density", "true or false")
        total = self.visits is None or (is_whole(self.visits) and self.visits > 0)
        require(total, self, "visits", "a whole number above 0, or none")

    def make_memory(self, dim: int) -> nn.Module:
        """The mean loss of each example, and who is flagged."""
        return History()

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem itself."""
        return problem

    def reweigh(self, outcome: Outcome, problem: Problem, memory: Memory) -> Outcome:
        """The outcome with weighted losses. Rows of one example share a weight and count as one visit."""
        assert problem.index is not None
        history, index = memory.of(History), torch.where(outcome.kept, problem.index, -1)
        with torch.no_grad():
            history.begin(index, self)
            losses = mean_of_each(index, outcome.losses[:, None])
            values, visits = history.read(index)
            center, spread = history.center.to(losses.dtype), history.spread.to(losses.dtype)
            flagged = values[:, 1] > 0
            weights = torch.exp(-(((losses[:, 0] - center) / torch.where(flagged, spread, 1.0)) ** 2) / 2)
            if self.density:
                weights = weights / (math.sqrt(2 * math.pi) * torch.where(flagged, spread, 1.0))
            weights = torch.where(flagged, weights, 1.0)
            share = (visits[:, None] + 1).to(losses.dtype)
            counted = losses * share / self.visits if self.visits else losses
            means = values[:, :1] + (counted - values[:, :1]) / share
            history.write(index, torch.cat([means, values[:, 1:]], dim=1))
        return replace(outcome, losses=weights * outcome.losses)


class History(Table):
    """Of each example its mean loss and whether it is flagged; the scale of the mean losses; the passes so far."""

    center: Float[Tensor, ""]
    spread: Float[Tensor, ""]
    passes: Int[Tensor, ""]

    def __init__(self) -> None:
        super().__init__(0.0, 0.0)
        self.register_buffer("center", torch.zeros(()))
        self.register_buffer("spread", torch.zeros(()))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def begin(self, index: Int[Tensor, " row"], rule: LossHistory) -> None:
        """Flag anew when one of the rows begins a further visit after the warm-up."""
        if not self.training or not len(index):
            return
        latest = int(self.read(index)[1].max())
        if latest <= int(self.passes):
            return
        self.passes.fill_(latest)
        seen = self.visits > 0
        if latest < rule.warm_up:
            return
        means = self.values[:, 0]
        self.center = means[seen].mean()
        self.spread = means[seen].std(correction=0)
        low = means <= self.center - rule.noisy * self.spread
        high = means >= self.center + rule.faulty * self.spread
        flagged = (low | high) & (self.visits >= rule.warm_up) & (self.spread > 0)
        self.values = torch.stack([means, flagged.to(means.dtype)], dim=1)
