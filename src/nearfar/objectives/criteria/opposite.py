"""Candidates and their guides pushed to opposite ends of the sphere."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.nn.functional import normalize

from nearfar.objectives.logits.against import guides
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Opposite(Criterion):
    """``2 - |c - g|`` of each candidate and its guide, both of length 1: 0 for opposite ones, 2 for equal ones.

    The distance is the root of its square plus 1e-4, so that equal ones can be pulled apart.
    """

    scope: ClassVar[Scope] = "batch"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"
    needs_positives: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"guide_candidates"})
    shares_space: ClassVar[bool] = True

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The mean over the candidates."""
        cosines = (normalize(problem.candidates, dim=1) * normalize(guides(problem), dim=1)).sum(dim=1)
        distances = ((2 - 2 * cosines).clamp(min=0) + 1e-4).sqrt()
        loss = (2 - distances).sum() / max(len(distances), 1)
        return of_the_whole(loss, torch.ones(len(problem.anchors), dtype=torch.bool, device=loss.device))
