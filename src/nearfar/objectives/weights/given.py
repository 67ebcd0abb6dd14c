"""Weights of pairs that are given from outside."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class GivenWeights(Weight):
    """Each pair counts as often as the teacher's number says, without gradient.

    A pair whose number is 0 or below, or not finite, is left out.

    The weights of negatives act everywhere; those of positives where positives are added up inside the log.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"teacher"})
    detached: ClassVar[tuple[str, ...]] = ("weights of the pairs",)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the log of the weights as a bias."""
        assert problem.teacher is not None
        weights = problem.teacher.detach().to(problem.z.dtype)
        some = (weights > 0) & torch.isfinite(weights)
        bias = torch.where(some, weights, 1.0).log()
        return replace(
            problem,
            positive=problem.positive & some,
            valid=problem.valid & some,
            bias=bias if problem.bias is None else problem.bias + bias,
        )
