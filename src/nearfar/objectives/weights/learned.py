"""Weights of negatives that a small network learns along with the embeddings (AdaMEOW)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from nearfar.config.component import is_whole, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.pair_network import PairNetwork
from nearfar.objectives.part import Weight
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp
from nearfar.objectives.weights.negatives import weighted_negatives


@dataclass(frozen=True, kw_only=True)
class PairNetworkWeight(Weight):
    """The weight of a negative is ``sigmoid(network(x + c))`` of its vector c and the anchor's x, with gradient.

    Attributes:
        hidden: width of the network's hidden layer.
        normalised: the negatives of a row have a mean weight of 1. Without it the weights go to 0, which lowers the
            loss and teaches nothing.
        seed: where the network starts.
    """

    hidden: int = 16
    normalised: bool = True
    seed: int = 0
    sized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole = is_whole(self.hidden) and self.hidden > 0
        require(whole, self, "hidden", "a whole number above 0")
        require(isinstance(self.normalised, bool), self, "normalised", "true or false")
        require(is_whole(self.seed), self, "seed", "a whole number")

    def make_memory(self, dim: int) -> nn.Module:
        """The network."""
        return PairNetwork(dim, self.hidden, self.seed)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with weighted negatives."""
        logs = logsigmoid(memory.of(PairNetwork)(problem.anchors, problem.candidates))
        if self.normalised:
            some = problem.negative.any(dim=1)
            level = torch.where(some, masked_logsumexp(logs, problem.negative), 0.0)
            count = problem.negative.sum(dim=1).clamp(min=1).to(logs.dtype)
            logs = logs - (level - count.log())[:, None]
        return weighted_negatives(problem, logs)
