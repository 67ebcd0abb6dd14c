"""Candidates as another encoder has them: the keys of MoCo."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.errors import ShapeError
from nearfar.objectives.form import Composition, Form, Sum, Transposed, form_of
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Candidates, Part
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class GuideKeys(Candidates):
    """Anchors are the rows; the columns are the guide's vectors of the candidates, which carry no gradient.

    With a moving average of the encoder as guide these are the keys of MoCo; with the base model as guide, queries
    learn to find documents that stay where they are. The candidates' own vectors are not looked at. Raises ShapeError
    where the guide has another width than the embeddings.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"guide_candidates"})
    shares_space: ClassVar[bool] = True
    detached: ClassVar[tuple[str, ...]] = ("candidates",)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with other columns."""
        return replace(problem, candidates=keys(problem, self))


def sides_looked_at(form: Form) -> frozenset[str]:
    """Which of the encoder's own vectors a form looks at: ``anchors``, ``candidates``, or both."""
    inner: Any = getattr(form, "form", form)  # a named form stands for the one that it names
    if isinstance(inner, Composition) and isinstance(inner.candidates, GuideKeys):
        return frozenset({"anchors"})
    if isinstance(inner, Sum):
        return frozenset().union(*(sides_looked_at(form_of(term)) for term in inner.terms))
    if isinstance(inner, Transposed):
        other = {"anchors": "candidates", "candidates": "anchors"}
        return frozenset(other[side] for side in sides_looked_at(form_of(inner.of)))
    return frozenset({"anchors", "candidates"})


def keys(problem: Problem, part: Part) -> Float[Tensor, "column dim"]:
    """The guide's vectors of the columns as columns themselves: without gradient, and of length 1 where all are.

    Raises:
        ShapeError: when they have another width than the embeddings.
    """
    guide = problem.guide_candidates
    assert guide is not None
    if guide.shape[1] != problem.candidates.shape[1]:
        raise ShapeError(
            f"{type(part).__name__}: guide_candidates must be of width {problem.candidates.shape[1]}, as the "
            f"embeddings are: they stand beside them. Got guide_candidates {tuple(guide.shape)}. Pass vectors of a "
            "moving average or an earlier state of the same encoder."
        )
    vectors = guide.detach().to(problem.candidates.dtype)
    return normalize(vectors, dim=1) if problem.unit else vectors
