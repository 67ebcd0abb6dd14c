"""Rows as distributions over columns: compared among themselves, or with how labels go together."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.errors import ShapeError
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class RowDivergence(Criterion):
    """The symmetric divergence of the softmax of two rows: itself for rows of one class, a hinge for others.

    The mean over all pairs of rows with a positive. Two rows are of one class if they share a positive.

    Attributes:
        margin: how far rows of different classes should be apart; at least 0.
    """

    margin: float = 2.0
    scope: ClassVar[Scope] = "batch"

    def __post_init__(self) -> None:
        require(is_number(self.margin) and self.margin >= 0, self, "margin", "a number of at least 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the batch."""
        kept = problem.positive.any(dim=1)
        mass = masked_logsumexp(problem.z, problem.valid)[:, None]
        usable = problem.valid & torch.isfinite(mass)
        logs = torch.where(usable, problem.z - torch.where(usable, mass, 0.0), 0.0)
        shares = torch.where(usable, logs.exp(), 0.0)
        # sum (p - q)(log p - log q) over the columns of both rows, as four products of matrices.
        across = shares @ logs.T
        own = (shares * logs) @ usable.to(logs.dtype).T
        divergence = (own + own.T - across - across.T).clamp(min=0)
        related = problem.positive.to(logs.dtype)
        same = (related @ related.T) > 0
        terms = torch.where(same, divergence, (self.margin - divergence).clamp(min=0))
        pairs = torch.triu(kept[:, None] & kept[None, :], diagonal=1)
        loss = torch.where(pairs, terms, 0.0).sum() / pairs.sum().clamp(min=1)
        return of_the_whole(loss, kept)


@dataclass(frozen=True, kw_only=True)
class LabelFit(Criterion):
    """How well the probabilities ``p = sigmoid(z)`` of columns go together as their labels do.

    Attributes:
        form: ``covariance``: the squared distance of the covariance of p from the given matrix; ``agreement``: minus
            the mean of ``p R p``.
        matrix: the given matrix R, a list of rows; none for the covariance of the labels of the batch.
    """

    form: Literal["covariance", "agreement"] = "covariance"
    matrix: tuple[tuple[float, ...], ...] | None = None
    scope: ClassVar[Scope] = "batch"
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.form in ("covariance", "agreement"), self, "form", "covariance or agreement")
        rows = self.matrix
        square = rows is None or (
            isinstance(rows, tuple)
            and all(isinstance(row, tuple) and len(row) == len(rows) and all(map(is_number, row)) for row in rows)
        )
        require(square, self, "matrix", "a list of as many rows of numbers as each row is long, or none")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the batch over its rows with a usable pair. A pair that is not usable counts as a label of 0."""
        kept = problem.valid.any(dim=1)
        sure = torch.where(problem.valid, torch.sigmoid(problem.z), 0.0)
        wanted = self._matrix(problem)
        if self.form == "covariance":
            loss = (_covariance(sure, kept) - wanted).square().sum()
        else:
            loss = -((sure @ wanted) * sure).sum() / kept.sum().clamp(min=1)
        return of_the_whole(loss, kept)

    def _matrix(self, problem: Problem) -> Float[Tensor, "column column"]:
        columns = problem.z.shape[1]
        if self.matrix is None:
            return _covariance(problem.positive.to(problem.z.dtype), problem.valid.any(dim=1))
        if len(self.matrix) != columns:
            raise ShapeError(
                f"LabelFit: there are {columns} columns, but the matrix is {len(self.matrix)} x {len(self.matrix)}. "
                "Give one row for each class, in the order of the candidates."
            )
        return torch.tensor(self.matrix, dtype=problem.z.dtype, device=problem.z.device)


def _covariance(values: Float[Tensor, "row column"], kept: Tensor) -> Float[Tensor, "column column"]:
    """The population covariance of the columns over the kept rows."""
    count = kept.sum().clamp(min=1)
    values = torch.where(kept[:, None], values, 0.0)
    centred = torch.where(kept[:, None], values - values.sum(dim=0) / count, 0.0)
    return centred.T @ centred / count
