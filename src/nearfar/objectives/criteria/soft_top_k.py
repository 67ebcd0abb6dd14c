"""SoftTop-k: the probability of being among the best k, with a threshold that makes the probabilities sum to k."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.criteria.rows import masked_mean, of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class AmongTopK(Criterion):
    """The mean over the positives of ``-log sigmoid(alpha * (Z + threshold))``, all columns of a row adding up to k.

    The gradient goes through the threshold as well, by its own equation and not through the search for it. A row with
    no more than k columns has loss 0.

    Attributes:
        k: how many columns are to be found.
        alpha: how sharply a column is in or out; above 0.
    """

    k: int = 5
    alpha: float = 2.0

    def __post_init__(self) -> None:
        whole = is_whole(self.k) and self.k > 0
        require(whole, self, "k", "a whole number above 0")
        require(is_number(self.alpha) and self.alpha > 0, self, "alpha", "a number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive."""
        crowded = problem.valid.sum(dim=1) > self.k
        usable = problem.valid & crowded[:, None]
        logits = torch.where(usable, problem.z, 0.0)
        with torch.no_grad():
            level = threshold(self.alpha * logits, usable, self.k)[:, None]
            inside = self.alpha * logits + level
            # The threshold falls with a logit by that column's share of all slopes, sigmoid * (1 - sigmoid).
            slopes = torch.where(usable, logsigmoid(inside) + logsigmoid(-inside), float("-inf"))
            slopes = torch.softmax(torch.where(crowded[:, None], slopes, 0.0), dim=1)
        moved = (slopes * (logits.detach() - logits)).sum(dim=1, keepdim=True)
        terms = softplus(-(self.alpha * (logits + moved) + level))
        return of_rows(problem, masked_mean(terms, problem.positive & usable), problem.positive.any(dim=1))


def threshold(logits: Float[Tensor, "row column"], usable: Bool[Tensor, "row column"], k: int) -> Float[Tensor, " row"]:
    """What to add to a row's logits so that their sigmoids sum to k, by bisection; 0 where there are no more than k.

    What the rest has is weighed against what the k highest lack, as logs: a sum near k would hide small differences.
    """
    number = usable.sum(dim=1)
    crowded = number > k
    lowered = logits.masked_fill(~usable, float("-inf"))
    places = lowered.topk(min(k, logits.shape[1]), dim=1).indices
    highest = torch.zeros_like(usable).scatter(1, places, True) & usable
    odds = torch.where(crowded, k / (number - k).clamp(min=1).to(logits.dtype), 1.0).log()
    low = odds - lowered.amax(dim=1)
    high = odds - logits.masked_fill(~usable, float("inf")).amin(dim=1)
    low, high = (torch.where(crowded, bound, 0.0) for bound in (low, high))
    for _ in range(64):
        middle = (low + high) / 2
        moved = logits + middle[:, None]
        inside = masked_logsumexp(logsigmoid(moved), usable & ~highest)
        above = inside > masked_logsumexp(logsigmoid(-moved), highest)
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2
