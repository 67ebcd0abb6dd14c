"""Running averages of ranking measures: average precision (SOAP) and nDCG (SONG)."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.criteria.links import Hinge
from nearfar.objectives.criteria.rows import front, gains_of, ideal_gain
from nearfar.objectives.criteria.running import Inner, Terms, shares
from nearfar.objectives.memory import Memory, Table, mean_of_each
from nearfar.objectives.part import Part
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class SoftCount(Inner):
    """How many columns come before a positive, each counted by the squared hinge of ``Z[column] - Z[positive]``.

    The positive counts itself, with the square of the margin, so that no count is 0.

    Attributes:
        margin: how far a positive should be above what follows; above 0.
    """

    margin: float = 1.0
    by_pair: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_number(self.margin) and self.margin > 0, self, "margin", "a number above 0")

    def terms(self, problem: Problem) -> Terms:
        """The hinges of each positive against every valid column, and their means."""
        places, there = front(problem.positive)
        difference = problem.z[:, None, :] - problem.z.gather(1, places)[:, :, None]
        used = problem.valid[:, None, :] & there[:, :, None]
        safe = torch.where(used, difference, 0.0)
        values = Hinge(margin=self.margin, power=2).of(safe, torch.ones_like(safe))
        return Terms(values=values, used=used, places=places, there=there, means=self._means(problem, values, used))

    def _means(
        self, problem: Problem, values: Float[Tensor, "row place column"], used: Bool[Tensor, "row place column"]
    ) -> Float[Tensor, "row place mean"]:
        """The mean hinge of each place."""
        return _over(values.detach(), used, problem)[:, :, None]


@dataclass(frozen=True, kw_only=True)
class RunningPrecision(SoftCount):
    """Minus the average precision: the mean over positives of ``-u_positives / u_all``, two means of hinges."""

    initial: ClassVar[tuple[float, ...]] = (0.0, 0.0)

    def _means(
        self, problem: Problem, values: Float[Tensor, "row place column"], used: Bool[Tensor, "row place column"]
    ) -> Float[Tensor, "row place mean"]:
        """The mean over all columns of the hinges of the positives alone, and of all."""
        among = used & problem.positive[:, None, :]
        return torch.stack([_over(values.detach(), each, problem) for each in (among, used)], dim=2)

    def outer(
        self, problem: Problem, terms: Terms, averages: Float[Tensor, "row place mean"], memory: Memory
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row place column"], Bool[Tensor, " row"]]:
        """``-up / ua``, and ``(up - ua [positive]) / ua ** 2``."""
        among, whole = averages[:, :, 0], torch.where(terms.there, averages[:, :, 1], 1.0)
        share = shares(terms.there, averages)
        of_positive = (among / whole.square())[:, :, None] - problem.positive[:, None, :] / whole[:, :, None]
        slopes = (share / problem.valid.sum(dim=1, keepdim=True).clamp(min=1))[:, :, None] * of_positive
        return -(share * among / whole).sum(dim=1), torch.where(terms.used, slopes, 0.0), terms.there.any(dim=1)


@dataclass(frozen=True, kw_only=True)
class TopGate(Part):
    """Lets only the positives near or above the first k of their row count (the practical K-SONG).

    Each row remembers a threshold that about k of its columns are above, and moves it by its own gradient descent.

    Attributes:
        top: k.
        temperature: of the gate, a logistic of how far a positive is above the threshold.
        threshold_temperature: of the count of columns above the threshold.
        penalty: pulls the threshold to 0.
        learning_rate: of the threshold.
    """

    top: int = 10
    temperature: float = 0.5
    threshold_temperature: float = 0.01
    penalty: float = 1e-4
    learning_rate: float = 0.01
    needs: ClassVar[frozenset[str]] = frozenset({"index"})
    detached: ClassVar[tuple[str, ...]] = ("gate of the first places",)

    def __post_init__(self) -> None:
        whole = is_whole(self.top) and self.top > 0
        require(whole, self, "top", "a whole number above 0")
        for name in ("temperature", "threshold_temperature"):
            require(is_number(getattr(self, name)) and getattr(self, name) > 0, self, name, "a number above 0")
        for name in ("penalty", "learning_rate"):
            require(is_number(getattr(self, name)) and getattr(self, name) >= 0, self, name, "a number of at least 0")

    def make_memory(self, dim: int) -> nn.Module:
        """The threshold of each example."""
        return Table(0.0)

    def open(self, problem: Problem, counts: Bool[Tensor, " row"], items: int | None, memory: Memory) -> Tensor:
        """How far each column is let through. The thresholds of the rows that count move on."""
        assert problem.index is not None
        table, index = memory.of(Table), torch.where(counts, problem.index, -1)
        old = table.read(index)[0].to(problem.z.dtype)
        logits, number = problem.z.detach(), problem.valid.sum(dim=1, keepdim=True).clamp(min=1)
        above = torch.where(problem.valid, torch.sigmoid((logits - old) / self.threshold_temperature), 0.0)
        slope = self.top / (items or number) + self.penalty * old - above.sum(dim=1, keepdim=True) / number
        table.write(index, old - self.learning_rate * mean_of_each(index, slope))
        return torch.sigmoid((logits - old) / self.temperature)


@dataclass(frozen=True, kw_only=True)
class RunningGain(SoftCount):
    """Minus nDCG: the sum over positives of ``-(2 ** grade - 1) / log2(1 + items * u)`` over the best sum there is.

    Attributes:
        items: number of columns of the whole dataset, of which a row sees a sample; none for those it sees.
        gate: which positives count; none for all.
    """

    items: int | None = None
    gate: TopGate | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = is_whole(self.items) and self.items > 0
        require(self.items is None or whole, self, "items", "a whole number above 0, or none")
        require(self.gate is None or isinstance(self.gate, TopGate), self, "gate", "TopGate(top=10), or none")

    def terms(self, problem: Problem) -> Terms:
        """The hinges of each positive, in rows in which there is something to gain."""
        terms = super().terms(problem)
        return replace(terms, there=terms.there & (self._ideal(problem) > 0)[:, None])

    def outer(
        self, problem: Problem, terms: Terms, averages: Float[Tensor, "row place mean"], memory: Memory
    ) -> tuple[Float[Tensor, " row"], Float[Tensor, "row place column"], Bool[Tensor, " row"]]:
        """The discounted gain, and its derivative in the count before each positive."""
        assert terms.places is not None
        number = problem.valid.sum(dim=1, keepdim=True).clamp(min=1)
        items, ideal = self.items or number, self._ideal(problem)
        counts = ideal > 0
        gains = gains_of(problem.grades).gather(1, terms.places) / torch.where(counts, ideal, 1.0)[:, None]
        if self.gate is not None:
            gains = gains * self.gate.open(problem, counts, self.items, memory.at("gate")).gather(1, terms.places)
        place = 1 + items * torch.where(terms.there, averages[:, :, 0], 1.0)
        slopes = gains * items / (math.log(2) * place * torch.log2(place).square()) / number
        value = torch.where(terms.there, gains / torch.log2(place), 0.0)
        usable = terms.used & counts[:, None, None]
        return -value.sum(dim=1), torch.where(usable, slopes[:, :, None], 0.0), counts

    def _ideal(self, problem: Problem) -> Float[Tensor, " row"]:
        """The best discounted gain of each row."""
        return ideal_gain(gains_of(problem.grades), problem.positive, None if self.gate is None else self.gate.top)


def _over(
    values: Float[Tensor, "row place column"], chosen: Bool[Tensor, "row place column"], problem: Problem
) -> Float[Tensor, "row place"]:
    """The sum of the chosen values over the number of valid columns of the row."""
    return torch.where(chosen, values, 0.0).sum(dim=2) / problem.valid.sum(dim=1, keepdim=True).clamp(min=1)
