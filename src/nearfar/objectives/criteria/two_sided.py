"""C2, the two-sided log-sum: positives and negatives each have a log-sum of their own."""

from dataclasses import dataclass

import torch
from torch.nn.functional import softplus

from nearfar.config.component import is_number, require
from nearfar.objectives.criteria.rows import of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class TwoSided(Criterion):
    """Positives are pulled above 0 and negatives pushed below it.

    Apart, the loss of a row is ``softplus(P) / alpha + softplus(N) / beta`` with ``P = log sum exp(-alpha Z[p])`` over
    its positives and ``N = log sum exp(beta Z[n])`` over its negatives: each side has its gradient whatever the other
    does. Joined it is ``softplus(P + N)``, in which a row that is in order has next to no gradient.

    Attributes:
        alpha: steepness of the positives; above 0.
        beta: steepness of the negatives; above 0.
        joined: one softplus of both log-sums, not divided.
        negatives_needed: a row without negatives does not count.
        zeros_count: rows that lack something count as 0 in the mean, instead of not at all.
    """

    alpha: float = 1.0
    beta: float = 1.0
    joined: bool = False
    negatives_needed: bool = True
    zeros_count: bool = False

    def __post_init__(self) -> None:
        for field in ("alpha", "beta"):
            value = getattr(self, field)
            require(is_number(value) and value > 0, self, field, "a number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row."""
        pulled, pushed = problem.positive.any(dim=1), problem.negative.any(dim=1)
        repelled = self.beta * problem.z
        if problem.bias is not None:
            repelled = repelled + problem.bias
        pull = masked_logsumexp(-self.alpha * problem.z, problem.positive)
        push = masked_logsumexp(repelled, problem.negative)
        usable = pulled & pushed if self.negatives_needed else pulled
        if self.joined:
            both = pulled & pushed
            losses = torch.where(both, softplus(torch.where(both, pull, 0.0) + torch.where(both, push, 0.0)), 0.0)
        else:
            positives = softplus(torch.where(pulled, pull, 0.0)) / self.alpha
            negatives = torch.where(pushed, softplus(torch.where(pushed, push, 0.0)), 0.0) / self.beta
            losses = positives + negatives
        losses = torch.where(usable, losses, 0.0)
        return of_rows(problem, losses, torch.ones_like(usable) if self.zeros_count else usable)
