"""Every positive against the negatives of all rows: a surrogate of the area under one curve for the whole batch."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from nearfar.config.component import require
from nearfar.objectives.criteria.links import Link, Logistic
from nearfar.objectives.criteria.rows import masked_mean, of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope
from nearfar.objectives.problem import Problem

PAIRS_AT_ONCE = 2**22
"""So many differences are in memory at a time, forwards as well as backwards."""


@dataclass(frozen=True, kw_only=True)
class AllRows(Criterion):
    """For each positive the mean over the negatives of all rows of a link of ``Z[negative] - Z[positive]``.

    A positive is compared with negatives of other anchors, so that one threshold for all anchors is learned; a constant
    added to a row changes the loss. A row counts when it has a positive and any row has a negative. Memory stays
    bounded: what a chunk of pairs needs is computed again in the backward pass.

    Attributes:
        link: what is done with the difference.
    """

    link: Link = Logistic()
    scope: ClassVar[Scope] = "batch"

    def __post_init__(self) -> None:
        require(isinstance(self.link, Link), self, "link", "a link, such as Hinge(margin=0.2)")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row, for which all rows are needed."""
        rows, columns = problem.positive.nonzero(as_tuple=True)
        negatives = problem.z[problem.negative]
        size = max(PAIRS_AT_ONCE // max(len(rows), 1), 1)
        sums: Tensor = _InChunks.apply(problem.z[rows, columns], negatives, self.link, size)  # type: ignore[no-untyped-call]
        found = sums / max(len(negatives), 1)
        terms = torch.zeros_like(problem.z).index_put((rows, columns), found)
        kept = problem.positive.any(dim=1) & problem.negative.any()
        return of_rows(problem, masked_mean(terms, problem.positive), kept)


class _InChunks(torch.autograd.Function):
    """The sum of each positive's losses against all negatives. The backward pass computes each chunk again."""

    @staticmethod
    def forward(ctx: Any, positives: Tensor, negatives: Tensor, link: Link, size: int) -> Tensor:
        ctx.save_for_backward(positives, negatives)
        ctx.link, ctx.size = link, size
        # Into one tensor: small results kept between large temporary ones would break up the memory.
        total = torch.zeros_like(positives)
        for some in torch.split(negatives, size):
            total += _chunk(positives, some, link)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        positives, negatives = (each.detach() for each in ctx.saved_tensors)
        pulled, pushed = torch.zeros_like(positives), torch.zeros_like(negatives)
        for some, into in zip(torch.split(negatives, ctx.size), torch.split(pushed, ctx.size), strict=True):
            with torch.enable_grad():
                one, other = positives.detach().requires_grad_(), some.detach().requires_grad_()
                sums = _chunk(one, other, ctx.link)
            found = torch.autograd.grad(sums, (one, other), slope)
            pulled += found[0]
            into += found[1]
        return pulled, pushed, None, None


def _chunk(
    positives: Float[Tensor, " positive"], negatives: Float[Tensor, " negative"], link: Link
) -> Float[Tensor, " positive"]:
    """The sum of each positive's losses against some negatives."""
    difference = negatives[None, :] - positives[:, None]
    return link.of(difference, torch.ones_like(difference)).sum(dim=1)
