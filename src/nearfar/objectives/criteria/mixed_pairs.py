"""C2 for pairs that are positive in part: a two-sided pair loss over labels between 0 and 1."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from nearfar.config.component import Component, is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp
from nearfar.types import Origin


class Host(Component):
    """A pair loss, as sums over weighted pairs."""

    def of(
        self, scores: Float[Tensor, "row column"], labels: Float[Tensor, "row column"], used: Bool[Tensor, "row column"]
    ) -> Float[Tensor, " row"]:
        """The loss of each row over the used pairs, pulled by their label and pushed by what it lacks to 1."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class ContrastiveHost(Host):
    """The contrastive loss: minus the similarity of a positive, a hinge for a negative.

    Attributes:
        margin: below this similarity a negative has no loss.
    """

    margin: float = 0.5

    def __post_init__(self) -> None:
        require(is_number(self.margin), self, "margin", "a number")

    def of(
        self, scores: Float[Tensor, "row column"], labels: Float[Tensor, "row column"], used: Bool[Tensor, "row column"]
    ) -> Float[Tensor, " row"]:
        """The sum over the used pairs."""
        terms = -labels * scores + (1 - labels) * (scores - self.margin).clamp(min=0)
        return torch.where(used, terms, 0.0).sum(dim=1)


@dataclass(frozen=True, kw_only=True)
class MultiSimilarityHost(Host):
    """The multi-similarity loss: a log-sum for each side.

    Attributes:
        alpha: steepness of the positives.
        beta: steepness of the negatives.
        base: the similarity above which a positive, and below which a negative, is in order.
    """

    alpha: float = 2.0
    beta: float = 40.0
    base: float = 0.5

    def __post_init__(self) -> None:
        for field in ("alpha", "beta"):
            value = getattr(self, field)
            require(is_number(value) and value > 0, self, field, "a number above 0")
        require(is_number(self.base), self, "base", "a number")

    def of(
        self, scores: Float[Tensor, "row column"], labels: Float[Tensor, "row column"], used: Bool[Tensor, "row column"]
    ) -> Float[Tensor, " row"]:
        """The log-sums over the used pairs, each pair with the log of its weight."""
        losses = scores.new_zeros(len(scores))
        for steepness, weights in ((-self.alpha, labels), (self.beta, 1 - labels)):
            some = used & (weights > 0)
            logits = steepness * (scores - self.base) + torch.where(some, weights, 1.0).log()
            mass = masked_logsumexp(logits, some)
            present = some.any(dim=1)
            losses = losses + torch.where(present, softplus(torch.where(present, mass, 0.0)), 0.0) / abs(steepness)
        return losses


@dataclass(frozen=True, kw_only=True)
class MixedPairs(Criterion):
    """A pair loss over the pairs that were given, and once more over mixtures, whose grade is their label.

    Attributes:
        host: the pair loss.
        weight: of the mixtures.
    """

    host: Host = ContrastiveHost()
    weight: float = 0.4

    def __post_init__(self) -> None:
        require(isinstance(self.host, Host), self, "host", "a pair loss, such as ContrastiveHost(margin=0.5)")
        require(is_number(self.weight) and self.weight >= 0, self, "weight", "a number of at least 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive."""
        mixed = (problem.origins == Origin.MIXED)[None, :]
        labels = torch.where(mixed, problem.grades, problem.positive.to(problem.z.dtype))
        clean = self.host.of(problem.z, labels, problem.valid & ~mixed)
        made = self.host.of(problem.z, labels, problem.valid & mixed)
        kept = problem.positive.any(dim=1)
        return Outcome(torch.where(kept, clean + self.weight * made, 0.0), kept)
