"""A temperature for each pair, from a small network that is trained along (AMCL)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.logits.temperature import divided
from nearfar.objectives.memory import Memory
from nearfar.objectives.pair_network import PairNetwork
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class TemperatureByPair(Logits):
    """``minimum + (maximum - minimum) * sigmoid(network(x + c))`` for the vectors x and c of each pair.

    For criteria that look at rows alone. Without ``TemperaturePenalty`` beside it, temperatures run to their bounds.

    Attributes:
        initial: about where temperatures start, strictly between the bounds.
        minimum, maximum: the bounds.
        hidden: width of the network's hidden layer.
        seed: where the network starts.
    """

    initial: float = 0.5
    minimum: float = 1e-5
    maximum: float = 2.0
    hidden: int = 16
    seed: int = 0
    sized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_number(self.minimum) and self.minimum > 0, self, "minimum", "a number above 0")
        require(is_number(self.maximum) and self.maximum > self.minimum, self, "maximum", "above the minimum")
        within = is_number(self.initial) and self.minimum < self.initial < self.maximum
        require(within, self, "initial", f"a number between {self.minimum} and {self.maximum}")
        whole = is_whole(self.hidden) and self.hidden > 0
        require(whole, self, "hidden", "a whole number above 0")

    def make_memory(self, dim: int) -> nn.Module:
        """The network."""
        start = math.log((self.initial - self.minimum) / (self.maximum - self.initial))
        return PairNetwork(dim, self.hidden, self.seed, start)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with logits divided pair by pair."""
        share = torch.sigmoid(memory.of(PairNetwork)(problem.anchors, problem.candidates))
        return divided(problem, self.minimum + (self.maximum - self.minimum) * share)
