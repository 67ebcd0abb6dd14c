"""Columns that are classes: vectors that the objective trains itself, one for each class."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from nearfar.config.component import is_whole, require
from nearfar.errors import ShapeError
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Candidates
from nearfar.objectives.problem import Problem
from nearfar.types import Origin


@dataclass(frozen=True, kw_only=True)
class TrainedClasses(Candidates):
    """The columns are trained vectors, one for each class, in the place of the candidates that were given.

    A row belongs to the class that ``labels`` names, from 0; a row with a label below 0 is left out.

    Attributes:
        classes: how many there are.
        normalised: the vectors have length 1, as the cosine and the angle want it.
        seed: where they start, in random directions.
    """

    classes: int = 2
    normalised: bool = True
    seed: int = 0
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    sized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole = is_whole(self.classes)
        require(whole and self.classes > 0, self, "classes", "a whole number above 0, or none for the candidates")
        require(is_whole(self.seed), self, "seed", "a whole number")

    def make_memory(self, dim: int) -> nn.Module:
        """The trained vectors."""
        return ClassVectors(self.classes, dim, self.seed)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the classes as its columns."""
        labels = problem.labels
        assert labels is not None
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise ShapeError(f"TrainedClasses: labels must be whole numbers, one class each, got {labels.dtype}.")
        if len(labels) and int(labels.max()) >= self.classes:
            raise ShapeError(
                f"TrainedClasses: there are {self.classes} classes, counted from 0, but a label is "
                f"{int(labels.max())}. Set classes to the number of classes of the whole dataset."
            )
        vectors = memory.of(ClassVectors).vectors.to(problem.anchors.dtype)
        if self.normalised:
            vectors = normalize(vectors, dim=1)
        positive = labels[:, None] == torch.arange(self.classes, device=labels.device)
        valid = (labels >= 0)[:, None].expand_as(positive)
        return replace(
            problem,
            candidates=vectors,
            positive=positive,
            valid=valid,
            judged=valid,
            grades=positive.to(vectors.dtype),
            origins=torch.full((self.classes,), int(Origin.CLASS), device=labels.device),
            own=torch.zeros_like(positive),
            column_ids=None,
            teacher=None,
            guide_candidates=None,
        )


class ClassVectors(nn.Module):
    """A trained vector for each class, of length 1 at the start."""

    vectors: Float[Tensor, "column dim"]

    def __init__(self, classes: int, dim: int, seed: int) -> None:
        super().__init__()
        drawn = torch.randn(classes, dim, generator=torch.Generator().manual_seed(seed))
        self.vectors = nn.Parameter(normalize(drawn, dim=1))
