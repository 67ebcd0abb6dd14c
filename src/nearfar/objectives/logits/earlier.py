"""Positives as another encoder has them."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch.nn.functional import normalize

from nearfar.errors import ShapeError
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class GuidePositives(Logits):
    """A positive is the guide's vector of the candidate, which carries no gradient; negatives stay as they are.

    Comes before the temperature. The guide must have the width of the embeddings, as an earlier state of the encoder
    has. Raises ShapeError where it has another one.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"guide_candidates"})
    shares_space: ClassVar[bool] = True
    detached: ClassVar[tuple[str, ...]] = ("vectors of the positives",)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with other similarities at its positives."""
        guide = problem.guide_candidates
        assert guide is not None
        if guide.shape[1] != problem.anchors.shape[1]:
            raise ShapeError(
                f"GuidePositives: guide_candidates must be of width {problem.anchors.shape[1]}, as the embeddings are: "
                f"they stand for positives. Got guide_candidates {tuple(guide.shape)}. Pass the candidates' vectors by "
                "an earlier state of the same encoder."
            )
        scores = problem.anchors @ normalize(guide.detach(), dim=1).to(problem.anchors.dtype).T
        scores = torch.where(problem.positive, scores, problem.scores)
        return replace(problem, similarity=scores, logits=torch.where(problem.positive, scores, problem.z))
