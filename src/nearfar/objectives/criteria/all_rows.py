"""Every positive against the negatives of all rows: a surrogate of the area under one curve for the whole batch."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

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
        found = self._against(problem.z[rows, columns], negatives) / max(len(negatives), 1)
        terms = torch.zeros_like(problem.z).index_put((rows, columns), found)
        kept = problem.positive.any(dim=1) & problem.negative.any()
        return of_rows(problem, masked_mean(terms, problem.positive), kept)

    def _against(
        self, positives: Float[Tensor, " positive"], negatives: Float[Tensor, " negative"]
    ) -> Float[Tensor, " positive"]:
        """The sum of each positive's losses."""

        def chunk(positives: Tensor, some: Tensor) -> Tensor:
            difference = some[None, :] - positives[:, None]
            return self.link.of(difference, torch.ones_like(difference)).sum(dim=1)

        size = max(PAIRS_AT_ONCE // max(len(positives), 1), 1)
        if len(negatives) <= size:
            return chunk(positives, negatives)
        options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
        sums = [checkpoint(chunk, positives, some, **options) for some in torch.split(negatives, size)]
        return torch.stack(sums).sum(dim=0)
