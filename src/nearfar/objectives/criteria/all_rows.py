"""Every positive against the negatives of all rows: a surrogate of the area under one curve for the whole batch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from nearfar.config.component import require
from nearfar.errors import ResourceError
from nearfar.objectives.criteria.links import Link, Logistic
from nearfar.objectives.criteria.rows import of_rows
from nearfar.objectives.criteria.two_passes import RowSurvey, TwoPasses, mean_of_positives
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope
from nearfar.objectives.problem import Problem

PAIRS_AT_ONCE = 2**22
"""So many differences are in memory at a time, forwards as well as backwards."""

PAIRS_ONE_BY_ONE = 2**24
"""Up to so many pairs of a positive and a negative, each of them is computed."""


@dataclass(frozen=True, kw_only=True)
class AllRows(Criterion):
    """For each positive the mean over the negatives of all rows of a link of ``Z[negative] - Z[positive]``.

    A positive is compared with negatives of other anchors, so that one threshold for all anchors is learned; a constant
    added to a row changes the loss. A row counts when it has a positive and any row has a negative. Memory stays
    bounded: what a chunk of pairs needs is computed again in the backward pass.

    With the ``Logistic`` link and more than 2 ** 24 pairs, time grows with positives and negatives instead of with
    their pairs. What that leaves out is below 1e-6 of the loss and of each slope, and below 1e-11 in double precision,
    see ``kernel_sums``. In this case memory does not grow with the pairs either.

    Attributes:
        link: what is done with the difference.
    """

    link: Link = Logistic()
    scope: ClassVar[Scope] = "batch"

    def __post_init__(self) -> None:
        require(isinstance(self.link, Link), self, "link", "a link, such as Hinge(margin=0.2)")

    @property
    def in_two_passes(self) -> bool:
        """Whether a ``survey`` of some rows each is enough to ``conclude`` the losses of all: by the logistic link."""
        return isinstance(self.link, Logistic)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row, for which all rows are needed."""
        z, positive, negative = problem.z, problem.positive, problem.negative
        kept = positive.any(dim=1) & negative.any()
        if self.in_two_passes and int(positive.sum()) * int(negative.sum()) > PAIRS_ONE_BY_ONE:
            try:
                losses: Tensor = _InPasses.apply(z, positive, negative)  # type: ignore[no-untyped-call]
                return of_rows(problem, losses, kept)
            except ResourceError:  # logits too far apart: one by one they are slow, and no wider than they are
                pass
        rows, columns = positive.nonzero(as_tuple=True)
        negatives = z[negative]
        size = max(PAIRS_AT_ONCE // max(len(rows), 1), 1)
        sums: Tensor = _InChunks.apply(z[rows, columns], negatives, self.link, size)  # type: ignore[no-untyped-call]
        return of_rows(problem, mean_of_positives(sums, rows, len(z)) / max(len(negatives), 1), kept)

    def survey(self, problem: Problem) -> RowSurvey:
        """What some rows tell for the losses of all, without gradient. For the ``Logistic`` link."""
        passes = TwoPasses(len(problem.z), problem.z.dtype)
        passes.collect(problem.z, problem.positive, problem.negative)
        return RowSurvey(passes, None if problem.importance is None else problem.importance.detach())

    def conclude(
        self, surveys: Iterable[RowSurvey], rows: int, pairs: int
    ) -> tuple[Outcome, Callable[[int, Problem], Float[Tensor, ""]]]:
        """The losses of all rows, from surveys of some each.

        Args:
            surveys: at least one, in order; looked at one by one.
            rows: how many rows there are.
            pairs: not needed here.

        Returns:
            the outcome, and a function of the place of a survey and its problem with gradient: a number whose gradient
            is that of the loss as far as it goes through these rows. Its value means nothing.
        """
        whole: TwoPasses | None = None
        starts, weights = [0], []
        for each in surveys:
            whole = TwoPasses(rows, each.passes.negatives.dtype) if whole is None else whole
            whole.merge(each.passes, starts[-1])
            starts.append(starts[-1] + each.passes.rows)
            weights += [] if each.importance is None else [each.importance]
        assert whole is not None
        losses, kept = whole.losses()
        importance = torch.cat(weights) if weights else torch.ones_like(losses)
        share = kept.to(losses.dtype) / kept.sum().clamp(min=1)  # of each row in the loss of the step
        whole.begin(importance * share)

        def pulled(place: int, problem: Problem) -> Float[Tensor, ""]:
            slopes = whole.slopes(problem.z, problem.positive, problem.negative, starts[place])
            found = torch.dot(problem.z.reshape(-1), slopes.view(-1))
            if problem.importance is None:
                return found
            own = slice(starts[place], starts[place + 1])
            return found + torch.dot(problem.importance, (losses * share)[own])

        return Outcome(torch.where(kept, importance * losses, 0.0), kept), pulled


class _InPasses(torch.autograd.Function):
    """``TwoPasses`` over one tile, the whole."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        ctx.passes = TwoPasses(len(z), z.dtype)
        ctx.passes.collect(z, positive, negative)
        ctx.save_for_backward(z, positive, negative)
        losses: Tensor = ctx.passes.losses()[0]
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        ctx.passes.begin(slope)
        return ctx.passes.slopes(*ctx.saved_tensors), None, None


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
