"""A soft target from how alike the anchors are among themselves."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.config.component import require
from nearfar.objectives.criteria.soft_targets import Target
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Partners(Target):
    """A column has a share in a row as the anchor that it belongs to is like the anchor of the row.

    The weight of a column is ``(1 + cosine) / 2`` of the two anchors, detached, and a share its part of the row's sum.
    Where a column belongs to several anchors, the nearest one counts; to none, its weight is 0.

    Attributes:
        temperature: weights are raised to the power of one over it; above 0.
        of_vectors: ``anchors`` compares the anchors' own vectors, ``guide`` those of another encoder; ``teacher`` takes
            the cosines as they are given, and a pair whose cosine is not finite has no share.
    """

    of_vectors: Literal["anchors", "guide", "teacher"] = "anchors"
    detached: ClassVar[tuple[str, ...]] = ("shares of the columns",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.of_vectors in _NEEDS, self, "of_vectors", " or ".join(_NEEDS))

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # it depends on a field
        """The keyword inputs that the part cannot do without."""
        return _NEEDS[self.of_vectors]

    def of(self, problem: Problem) -> tuple[Float[Tensor, "row column"], Bool[Tensor, "row column"], Tensor]:
        """The log-weights of the valid columns, for rows with a positive."""
        weights = ((1 + self._cosines(problem)) / 2).detach()
        some = weights > 0
        logits = torch.where(some, torch.where(some, weights, 1.0).log(), torch.finfo(weights.dtype).min / 2)
        kept = problem.positive.any(dim=1) & (some & problem.valid).any(dim=1)
        return logits / self.temperature, problem.valid, kept

    def _cosines(self, problem: Problem) -> Float[Tensor, "row column"]:
        if self.of_vectors == "teacher":
            assert problem.teacher is not None
            return torch.where(torch.isfinite(problem.teacher), problem.teacher, -1.0)
        vectors = problem.anchors if self.of_vectors == "anchors" else problem.guide_anchors
        assert vectors is not None
        vectors = normalize(vectors.detach(), dim=1).to(problem.z.dtype)
        owners, columns = problem.positive.nonzero(as_tuple=True)
        nearest = torch.full_like(problem.z.detach(), -1.0)
        places = columns.expand(len(vectors), -1)
        return nearest.scatter_reduce(1, places, (vectors @ vectors.T)[:, owners], "amax")


_NEEDS = {"anchors": frozenset[str](), "guide": frozenset({"guide_anchors"}), "teacher": frozenset({"teacher"})}
