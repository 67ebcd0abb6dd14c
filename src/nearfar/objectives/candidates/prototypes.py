"""Columns that are means of classes: one for each class of the candidates."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Candidates
from nearfar.objectives.problem import Problem
from nearfar.types import Origin


@dataclass(frozen=True, kw_only=True)
class Prototypes(Candidates):
    """The columns are the means of the candidates of each class. They carry gradient.

    A candidate is of the class of the anchor that it belongs to; one that belongs to no anchor is a class of its own.
    A row belongs to the prototype of its class, if there is one. Another prototype is a negative of it only if all that
    it is made of are: with what is ignored for the row, or belongs to it, it would be a false negative.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    across_rows: ClassVar[bool] = True

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with prototypes as its columns."""
        place, positive, valid = classes_of(problem)
        means = class_means(problem.candidates, place, positive.shape[1])
        return replace(
            problem,
            candidates=means,
            positive=positive,
            valid=valid,
            judged=valid,
            grades=positive.to(means.dtype),
            origins=torch.full((len(means),), int(Origin.CLASS), device=positive.device),
            own=torch.zeros_like(positive),
            column_ids=None,
            teacher=None,
            guide_candidates=None,
        )


def classes_of(
    problem: Problem,
) -> tuple[Int[Tensor, " column"], Bool[Tensor, "row class"], Bool[Tensor, "row class"]]:
    """The class of each candidate, which class each row belongs to, if any, and which classes it may be compared with.

    These are its own and those of which all candidates are negatives of the row.
    """
    assert problem.labels is not None
    names, labels = torch.unique(problem.labels, return_inverse=True)
    owned = problem.positive.any(dim=0)
    first = labels[problem.positive.to(torch.uint8).argmax(dim=0)]
    alone = len(names) + torch.arange(len(owned), device=owned.device)
    found, place = torch.unique(torch.where(owned, first, alone), return_inverse=True)
    own = labels[:, None] == found[None, :]
    members = place[:, None] == torch.arange(len(found), device=place.device)
    others = (~problem.negative).float() @ members.float()
    return place, own, own | (others == 0)


def class_means(
    vectors: Float[Tensor, "column dim"], place: Int[Tensor, " column"], classes: int
) -> Float[Tensor, "class dim"]:
    """The mean of the vectors of each class."""
    sums = vectors.new_zeros(classes, vectors.shape[1]).index_add(0, place, vectors)
    return sums / torch.bincount(place, minlength=classes)[:, None]
