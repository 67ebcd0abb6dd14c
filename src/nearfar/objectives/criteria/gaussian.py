"""Classes as Gaussians of their candidates, with a boundary for what belongs to none of them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from nearfar.config.component import is_number, require
from nearfar.objectives.candidates.prototypes import class_means, classes_of
from nearfar.objectives.criteria.rows import of_rows
from nearfar.objectives.criteria.soft_targets import log_softmax
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem
from nearfar.objectives.similarity import distances


@dataclass(frozen=True, kw_only=True)
class GaussianClasses(Criterion):
    """Each row inside the boundary of its class, by a margin, and outside of the boundaries of all others.

    ``softplus((D[y] - r + m[y]) / t)`` for the class y of a row, if it has one, and ``softplus((r - D[c] + m[c]) / t)``
    summed over the others, plus ``-log softmax(-D / t)[y]``. ``D[c] = sum of (x - mean)^2 / (variance + epsilon) + log(
    variance + epsilon)`` over the dimensions. The margin of a class grows with the distance of its mean to the nearest
    other one. Every row counts: one whose class has no candidates belongs to none. A class with a candidate that is no
    negative of a row is left out of its sums, unless it is its own.

    Attributes:
        margin: the average margin.
        temperature: divides distances; above 0.
        contrast_weight: weight of the softmax.
        epsilon: added to variances; with it alone a class has one candidate.
        boundary: where the trained r, one for all classes, starts.
    """

    margin: float = 1.0
    temperature: float = 1.0
    contrast_weight: float = 1.0
    epsilon: float = 1e-3
    boundary: float = 0.0
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for field in ("temperature", "epsilon"):
            value = getattr(self, field)
            require(is_number(value) and value > 0, self, field, "a number above 0")
        for field in ("margin", "contrast_weight", "boundary"):
            require(is_number(getattr(self, field)), self, field, "a number")

    def make_memory(self, dim: int) -> nn.Module:
        """The boundary."""
        return Boundary(self.boundary)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row."""
        place, own, valid = classes_of(problem)
        means = class_means(problem.candidates, place, own.shape[1])
        variances = class_means((problem.candidates - means[place]).square(), place, own.shape[1])
        far = gaussian_distances(problem.anchors, means, variances + self.epsilon)
        boundary = memory.of(Boundary).value.to(far.dtype)
        margins = self.margin * isolation(means, valid.any(dim=0))
        inside, outside = far - boundary + margins, boundary - far + margins
        each = softplus(torch.where(own, inside, outside) / self.temperature)
        losses = torch.where(valid, each, 0.0).sum(dim=1)
        surprise = -log_softmax(-far / self.temperature, valid)
        losses = losses + self.contrast_weight * torch.where(own, surprise, 0.0).sum(dim=1)
        return of_rows(problem, losses, torch.ones(len(losses), dtype=torch.bool, device=losses.device))


class Boundary(nn.Module):
    """A trained distance."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))


def gaussian_distances(
    anchors: Float[Tensor, "row dim"], means: Float[Tensor, "class dim"], variances: Float[Tensor, "class dim"]
) -> Float[Tensor, "row class"]:
    """Twice the negative log-density of each row under each class, up to a constant."""
    squared = (anchors[:, None, :] - means[None, :, :]).square() / variances
    return squared.sum(dim=2) + variances.log().sum(dim=1)


def isolation(means: Float[Tensor, "class dim"], used: Bool[Tensor, " class"]) -> Float[Tensor, " class"]:
    """The distance of each mean to the nearest other used one, over the average of these; 1 where there is none.

    It is 1 as well where all means are at one place.
    """
    if len(means) < 2:
        return means.new_ones(len(means))
    itself = torch.eye(len(means), dtype=torch.bool, device=means.device)
    apart = used[:, None] & used[None, :] & ~itself
    some = apart.any(dim=1)
    nearest = torch.where(some, distances(means, means).masked_fill(~apart, float("inf")).amin(dim=1), 0.0)
    average = nearest.sum() / some.sum().clamp(min=1)
    known = some & (average > 0)
    return torch.where(known, nearest / torch.where(average > 0, average, 1.0), 1.0)
