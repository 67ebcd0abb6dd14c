"""Ordered pairs in one log-sum: each item against all that are strictly below it, in n log n."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from nearfar.config.component import require
from nearfar.objectives.criteria.rows import Unjudged, looked_at, of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


def below_and_above(
    order: Float[Tensor, "row item"], known: Bool[Tensor, "row item"]
) -> tuple[Int[Tensor, "row item"], Int[Tensor, "row item"]]:
    """How many known items of its row are strictly below each item, and how many strictly above."""
    ranked = order.masked_fill(~known, float("inf")).sort(dim=1).values
    below = torch.searchsorted(ranked, order.contiguous())
    up_to = torch.searchsorted(ranked, order.contiguous(), right=True)
    return below, (known.sum(dim=1, keepdim=True) - up_to).clamp(min=0)


def log_mass_below(
    logits: Float[Tensor, "row item"], order: Float[Tensor, "row item"], known: Bool[Tensor, "row item"]
) -> tuple[Float[Tensor, "row item"], Bool[Tensor, "row item"]]:
    """Log-sum-exp over the items of the row that are strictly below each item; items of equal order do not count.

    One cumulated log-sum over the sorted row, read off at the place where the item's order begins.

    Args:
        logits: what is summed.
        order: what is compared; finite.
        known: the items that there are.

    Returns:
        the log-sum, 0 where nothing is below; and where something is, which holds at known items only.
    """
    below, _ = below_and_above(order, known)
    places = order.masked_fill(~known, float("inf")).argsort(dim=1, stable=True)
    mass = torch.logcumsumexp(torch.where(known, logits, 0.0).gather(1, places), dim=1)
    some = known & (below > 0)
    return torch.where(some, mass.gather(1, (below - 1).clamp(min=0)), 0.0), some


@dataclass(frozen=True, kw_only=True)
class OrderedPairs(Criterion):
    """``log(1 + sum of exp(Z[b] - Z[a]))`` over the pairs of a row with a graded strictly above b.

    It is not divided by the number of pairs.

    Attributes:
        unjudged: whether a column that nobody judged is a ``negative`` of grade 0 or ``ignored``.
    """

    unjudged: Unjudged = "negative"

    def __post_init__(self) -> None:
        require(self.unjudged in ("negative", "ignored"), self, "unjudged", "negative or ignored")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row with two different grades."""
        mass, some = log_mass_below(problem.z, problem.grades, looked_at(problem, self.unjudged))
        kept = some.any(dim=1)
        whole = masked_logsumexp(mass - problem.z, some)
        return of_rows(problem, softplus(torch.where(kept, whole, 0.0)), kept)
