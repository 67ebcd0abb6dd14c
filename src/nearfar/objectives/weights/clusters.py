"""Weights of negatives by how many clusterings hold them apart from the anchor (MEOW)."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from nearfar.config.component import is_whole, require
from nearfar.objectives.criteria.rows import masked_mean
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem
from nearfar.objectives.weights.negatives import weighted_negatives


@dataclass(frozen=True, kw_only=True)
class ClusterCounts(Weight):
    """The weight of a negative is the number of runs of k-means that put it and the anchor into different clusters.

    Texts of both sides are clustered together by direction, anew for every batch: their guide vectors where there are
    any, otherwise the embeddings themselves. A negative that no run holds apart is left out.

    Attributes:
        clusters: how many in each run; never more than there are texts.
        runs: how many, each from other texts.
        steps: of k-means.
        normalised: the negatives of a row have a mean weight of 1.
        seed: of the texts that runs begin with.
    """

    clusters: int = 8
    runs: int = 10
    steps: int = 10
    normalised: bool = True
    seed: int = 0
    detached: ClassVar[tuple[str, ...]] = ("clusters",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for field in ("clusters", "runs", "steps"):
            value = getattr(self, field)
            whole = is_whole(value) and value > 0
            require(whole, self, field, "a whole number above 0")
        require(isinstance(self.normalised, bool), self, "normalised", "true or false")
        require(is_whole(self.seed), self, "seed", "a whole number")

    def make_memory(self, dim: int) -> nn.Module:
        """The draws."""
        return Draws(self.seed)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with weighted negatives."""
        sides = (problem.anchors, problem.candidates)
        if problem.guide_anchors is not None and problem.guide_candidates is not None:
            sides = (problem.guide_anchors, problem.guide_candidates)
        texts = normalize(torch.cat(sides).detach(), dim=1)
        found = k_means(texts, self.clusters, self.runs, self.steps, memory.of(Draws).generator())
        rows, columns = found[:, : len(sides[0])], found[:, len(sides[0]) :]
        apart = (rows[:, :, None] != columns[:, None, :]).sum(dim=0).to(problem.z.dtype)
        some = problem.negative & (apart > 0)
        count = torch.where(some, apart, 1.0)
        if self.normalised:
            level = masked_mean(apart, problem.negative)[:, None]
            count = count / torch.where(level > 0, level, 1.0)
        return weighted_negatives(replace(problem, valid=problem.positive | some), count.log())


def k_means(
    vectors: Float[Tensor, "text dim"], clusters: int, runs: int, steps: int, generator: torch.Generator
) -> Int[Tensor, "run text"]:
    """The cluster of each text in several runs of k-means, each from other texts, all at once.

    A cluster that loses all of its texts stays where it was.
    """
    clusters = min(clusters, len(vectors))
    first = torch.stack([torch.randperm(len(vectors), generator=generator)[:clusters] for _ in range(runs)])
    centers = vectors[first.to(vectors.device)]
    nearest = _nearest(vectors, centers)
    for _ in range(steps):
        members = torch.zeros(runs, clusters, len(vectors), dtype=vectors.dtype, device=vectors.device)
        members = members.scatter(1, nearest[:, None, :], 1.0)
        sizes = members.sum(dim=2, keepdim=True)
        centers = torch.where(sizes > 0, members @ vectors / sizes.clamp(min=1), centers)
        nearest = _nearest(vectors, centers)
    return nearest


def _nearest(vectors: Float[Tensor, "text dim"], centers: Float[Tensor, "run cluster dim"]) -> Int[Tensor, "run text"]:
    """The nearest center of each text, the first of equally near ones."""
    # The square of the vector itself is the same for all centers.
    distances = centers.square().sum(dim=2)[:, :, None] - 2 * centers @ vectors.T
    return distances.argmin(dim=1)
