"""Differentiable sorting: a row goes through a network of soft swaps, and positives should come out last."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nearfar.config.component import is_whole, require
from nearfar.objectives.criteria.rows import of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class SoftSort(Criterion):
    """Cross-entropy of where the columns of a row come out of an odd-even sorting network (GroCo).

    In go the highest negatives and the positives, each ascending. A comparator of two neighbours keeps them by
    ``arctan(Z[right] - Z[left]) / pi + 1/2`` and swaps them by the rest; there are as many layers as items. The loss
    is the mean over the items of the cross-entropy between the mass that comes out among the last, as many as there
    are positives, and whether the item is one.

    Attributes:
        negatives: how many of the highest negatives go in.
    """

    negatives: int = 10

    def __post_init__(self) -> None:
        whole = is_whole(self.negatives)
        require(whole and self.negatives > 0, self, "negatives", "a whole number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row with a positive and a negative."""
        kept = problem.positive.any(dim=1) & problem.negative.any(dim=1)
        values, positive, present = self._items(problem)
        items = present.sum(dim=1)
        last = mass_of(keeps_of(values, items), positive, items).clamp(1e-7, 1 - 1e-7)
        surprise = torch.where(present, -torch.where(positive, last, 1 - last).log(), 0.0)
        return of_rows(problem, surprise.sum(dim=1) / items.clamp(min=1), kept)

    def _items(
        self, problem: Problem
    ) -> tuple[Float[Tensor, "row item"], Bool[Tensor, "row item"], Bool[Tensor, "row item"]]:
        """What goes in: values, which are positives, and which there are (from the left)."""
        z, positive, negative = problem.z, problem.positive, problem.negative
        rank = (
            z.detach().masked_fill(~negative, float("-inf")).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        )
        negative = negative & (rank < self.negatives)
        most = max(int((negative | positive).sum(dim=1).max()) if len(z) else 0, 1)
        # Negatives first, positives after them, what does not go in at the end; each of them ascending.
        kind = torch.where(negative, 0, torch.where(positive, 1, 2))
        by_value = z.detach().argsort(dim=1, stable=True)
        places = by_value.gather(1, kind.gather(1, by_value).argsort(dim=1, stable=True))[:, :most]
        present = (negative | positive).gather(1, places)
        return torch.where(present, z.gather(1, places), 0.0), positive.gather(1, places) & present, present


def keeps_of(values: Float[Tensor, "row item"], items: Int[Tensor, " row"]) -> list[Tensor]:
    """For each layer, how much each of its comparators keeps its two items where they are: rows x comparators.

    The layers of a row are as many as its items; comparators beyond that, or with nothing on their right, keep all.
    """
    keeps = []
    for layer in range(values.shape[1]):
        start = layer % 2
        left, right = values[:, start:-1:2], values[:, start + 1 :: 2]
        place = torch.arange(start + 1, values.shape[1], 2, device=values.device)
        works = (place < items[:, None]) & (layer < items)[:, None]
        keep = torch.where(works, torch.atan(right - left) / torch.pi + 0.5, 1.0)
        keeps.append(keep)
        values = _swapped(values, keep, start)
    return keeps


def mass_of(
    keeps: list[Tensor], last: Bool[Tensor, "row item"], items: Int[Tensor, " row"]
) -> Float[Tensor, "row item"]:
    """How much of each item comes out at the places ``last``: the places go back through the network.

    A layer is symmetric, so that going back is the same as going forth.
    """
    mass = last.to(keeps[0].dtype)
    for layer in reversed(range(len(keeps))):
        mass = _swapped(mass, keeps[layer], layer % 2)
    return mass


def _swapped(
    values: Float[Tensor, "row item"], keep: Float[Tensor, "row pair"], start: int
) -> Float[Tensor, "row item"]:
    """The values after one layer."""
    left, right = values[:, start:-1:2], values[:, start + 1 :: 2]
    pairs = torch.stack([keep * left + (1 - keep) * right, (1 - keep) * left + keep * right], dim=2).flatten(1)
    return torch.cat([values[:, :start], pairs, values[:, start + pairs.shape[1] :]], dim=1)
