"""Weights of rows by how likely their negatives were judged at all (coupled estimation, CET)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from nearfar.config.component import is_number, require
from nearfar.objectives.criteria.rows import masked_mean
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class InversePropensity(Weight):
    """The weight of a row is the mean of ``1 / (1 - sigmoid(x / temperature))`` over its judged negatives.

    x is a partner's logit of the pair: that the document was selected for judgement (for the relevance model), or that
    it is relevant (for the selection model). A row without a judged negative, or without a positive, has weight 1.

    Attributes:
        temperature: divides the partner's logits; above 0.
        maximum: bound of the weight of each negative, which is never below 1; none for no such bound.
        normalised: over the mean of the rows that have judged negatives.
    """

    temperature: float = 2.0
    maximum: float | None = 5.0
    normalised: bool = True
    needs: ClassVar[frozenset[str]] = frozenset({"teacher"})
    detached: ClassVar[tuple[str, ...]] = ("weights of rows",)

    @property
    def across_rows(self) -> bool:  # type: ignore[override]  # depends on a field here
        """Whether weights are divided by their mean over rows."""
        return self.normalised

    def __post_init__(self) -> None:
        require(is_number(self.temperature) and self.temperature > 0, self, "temperature", "a number above 0")
        bound = self.maximum is None or (is_number(self.maximum) and self.maximum >= 1)
        require(bound, self, "maximum", "a number of at least 1, or none")
        require(isinstance(self.normalised, bool), self, "normalised", "true or false")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with weighted rows."""
        assert problem.teacher is not None
        partner = problem.teacher.detach()
        judged = problem.negative & problem.judged & problem.positive.any(dim=1, keepdim=True) & ~torch.isnan(partner)
        some = judged.any(dim=1)
        odds = torch.exp(torch.where(judged, partner, 0.0) / self.temperature)
        each = 1 + odds if self.maximum is None else (1 + odds).clamp(max=self.maximum)
        weights = torch.where(some, masked_mean(each, judged), 1.0)
        if self.normalised:
            mean = torch.where(some, weights, 0.0).sum() / some.sum().clamp(min=1)
            weights = torch.where(some, weights / torch.where(some.any(), mean, 1.0), 1.0)
        return replace(problem, importance=weights if problem.importance is None else problem.importance * weights)
