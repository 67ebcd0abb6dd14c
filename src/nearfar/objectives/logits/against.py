"""Similarities seen against those to another vector for the same candidate."""

from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from nearfar.errors import ShapeError
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class AgainstGuide(Logits):
    """From each logit, the anchor's cosine with the guide of the candidate is subtracted.

    With a text and its negation for each candidate, the sigmoid of the difference is the softmax of the two. Comes
    before the temperature, so that both are divided by it.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"guide_candidates"})
    shares_space: ClassVar[bool] = True

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with differences as its logits."""
        against = normalize(problem.anchors, dim=1) @ normalize(guides(problem), dim=1).T
        return replace(problem, logits=problem.z - against)


def guides(problem: Problem) -> Float[Tensor, "column dim"]:
    """The guides of the candidates, which are vectors of the same space here, in the precision of the vectors.

    Raises:
        ShapeError: when they are wider or narrower than the candidates.
    """
    found = problem.guide_candidates
    assert found is not None
    if found.shape != problem.candidates.shape:
        raise ShapeError(
            f"guide_candidates must be vectors of the encoder itself here, {tuple(problem.candidates.shape)} like the "
            f"candidates, got {tuple(found.shape)}."
        )
    return found.to(problem.candidates.dtype)
