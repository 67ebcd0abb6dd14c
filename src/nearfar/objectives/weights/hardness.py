"""Weights of negatives that rise with their similarity, as a bias on their logits."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import torch

from nearfar.config.component import is_number, require
from nearfar.objectives.masking.origin import Which, negatives_of
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class Hardness(Weight):
    """A negative counts ``exp(strength * s)`` times, with its similarity or its logit in the place of s.

    Comes after the temperature.

    Attributes:
        strength: 0 changes nothing.
        of: ``similarity`` takes the raw similarity, whatever the temperature; ``logit`` what the criterion sees.
        on: which negatives are weighted: ``all``, ``in_batch`` for all but the row's own hard ones, ``own_hard`` for
            those alone, ``private`` for all but the hard ones of other rows.
        normalised: weights are divided by their mean over the row's weighted negatives, so that they keep their total.
        detach: no gradient flows through the weights.
    """

    strength: float = 9.0
    of: Literal["similarity", "logit"] = "similarity"
    on: Which = "all"
    normalised: bool = False
    detach: bool = True
    detached: ClassVar[tuple[str, ...]] = ("weights of the negatives, with detach",)

    def __post_init__(self) -> None:
        require(is_number(self.strength), self, "strength", "a number")
        require(self.of in ("similarity", "logit"), self, "of", "similarity or logit")
        require(self.on in get_args(Which), self, "on", " or ".join(get_args(Which)))

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with a bias on the chosen negatives."""
        bonus = self.strength * (problem.scores if self.of == "similarity" else problem.z)
        chosen = negatives_of(problem, self.on)
        if self.normalised:
            number = chosen.sum(dim=1).clamp(min=1).to(bonus.dtype)
            total = torch.where(chosen.any(dim=1), masked_logsumexp(bonus, chosen), 0.0)
            bonus = bonus - (total - number.log())[:, None]
        bias = torch.where(chosen, bonus.detach() if self.detach else bonus, 0.0)
        return replace(problem, bias=bias if problem.bias is None else problem.bias + bias)
