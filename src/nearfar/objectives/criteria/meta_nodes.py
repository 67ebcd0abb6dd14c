"""Clusters of a graph: near to neighbours, apart from the other clusters, and sure of their members."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.candidates.classes import ClassVectors
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem
from nearfar.objectives.similarity import distances
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class MetaNodes(Criterion):
    """Neighbours attract, sums of clusters repel, and soft assignments are drawn to their own sharpened form (PamC).

    ``-log sum of exp(cos / t)`` over the neighbours of a row, averaged over rows; ``log sum of exp(cos / t)`` of each
    cluster's sum with those of all clusters, where its cosine with itself counts as 0; and the divergence of the
    assignment from ``q^2 / sum q``. A row's assignment is a Student kernel around trained centres; it is a member of
    the cluster that has most of it, which carries no gradient.

    Attributes:
        clusters: how many there are.
        temperature: divides the cosines; above 0.
        contrast_weight: weight of the first two terms.
        cluster_weight: weight of the third.
        seed: where the centres start.
    """

    clusters: int = 8
    temperature: float = 1.0
    contrast_weight: float = 1.0
    cluster_weight: float = 1.0
    seed: int = 0
    scope: ClassVar[Scope] = "batch"
    reads: ClassVar[Literal["scores", "vectors"]] = "vectors"
    sized: ClassVar[bool] = True
    detached: ClassVar[tuple[str, ...]] = ("sharpened assignment", "who is in which cluster")

    def __post_init__(self) -> None:
        for field in ("clusters", "seed"):
            value = getattr(self, field)
            whole = is_whole(value)
            require(whole and (field == "seed" or value > 0), self, field, "a whole number above 0")
        require(is_number(self.temperature) and self.temperature > 0, self, "temperature", "a number above 0")
        for field in ("contrast_weight", "cluster_weight"):
            require(is_number(getattr(self, field)), self, field, "a number")

    def make_memory(self, dim: int) -> nn.Module:
        """The centres."""
        return ClassVectors(self.clusters, dim, self.seed)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the batch, for rows that have a neighbour."""
        rows = problem.anchors
        centres = memory.of(ClassVectors).vectors.to(rows.dtype)
        assignment = torch.log_softmax(-torch.log1p(distances(rows, centres).square()), dim=1)
        target = sharpened(assignment.detach().exp())
        divergence = torch.where(target > 0, target * (torch.where(target > 0, target, 1.0).log() - assignment), 0.0)
        cosines = normalize(rows, dim=1) @ normalize(problem.candidates, dim=1).T
        kept = problem.positive.any(dim=1)
        pull = _mean_mass(cosines / self.temperature, problem.positive)
        push = self._repulsion(rows, assignment)
        terms = {"contrast": push - pull, "clusters": divergence.sum() / max(len(rows), 1)}
        loss = self.contrast_weight * terms["contrast"] + self.cluster_weight * terms["clusters"]
        return of_the_whole(loss, kept, {name: term.detach() for name, term in terms.items()})

    def _repulsion(self, rows: Float[Tensor, "row dim"], assignment: Float[Tensor, "row cluster"]) -> Float[Tensor, ""]:
        """The mass of each cluster that has members among all that have."""
        sums = rows.new_zeros(self.clusters, rows.shape[1]).index_add(0, assignment.argmax(dim=1), rows)
        there = sums.detach().square().sum(dim=1) > 0
        directions = normalize(torch.where(there[:, None], sums, 0.0), dim=1)
        itself = torch.eye(self.clusters, dtype=torch.bool, device=rows.device)
        cosines = (directions @ directions.T).masked_fill(itself, 0.0)
        return _mean_mass(cosines / self.temperature, there[:, None] & there[None, :])


def sharpened(assignment: Float[Tensor, "row cluster"]) -> Float[Tensor, "row cluster"]:
    """The square of the assignment over the size of each cluster, as shares of a row again."""
    share = assignment.square() / assignment.sum(dim=0).clamp(min=torch.finfo(assignment.dtype).tiny)
    return share / share.sum(dim=1, keepdim=True).clamp(min=torch.finfo(assignment.dtype).tiny)


def _mean_mass(logits: Float[Tensor, "row column"], mask: Bool[Tensor, "row column"]) -> Float[Tensor, ""]:
    """The mean over rows of the log-sum over the columns where ``mask`` holds, of those where it holds somewhere."""
    some = mask.any(dim=1)
    return torch.where(some, masked_logsumexp(logits, mask), 0.0).sum() / some.sum().clamp(min=1)
