"""Objectives behind a trained linear head, so that several heads can be trained on the same embeddings."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.config.component import is_whole, require
from nearfar.objectives.form import Form, HasForm, form_of
from nearfar.objectives.memory import Memory
from nearfar.objectives.outline import Outline
from nearfar.objectives.part import Outcome, Part
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class LinearHead(Part):
    """A trained matrix that keeps the width of the embeddings. It belongs to the objective, not to the model.

    Attributes:
        seed: where the matrix starts, at random; the heads of one objective should differ in it.
    """

    seed: int = 0
    sized: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_whole(self.seed), self, "seed", "a whole number")

    def make_memory(self, dim: int) -> nn.Module:
        """The matrix."""
        return Head(dim, self.seed)


class Head(nn.Module):
    """A trained matrix, which keeps lengths on average at the start."""

    def __init__(self, dim: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.matrix = nn.Parameter(torch.randn(dim, dim, generator=generator) / math.sqrt(dim))

    def forward(self, vectors: Float[Tensor, "text dim"]) -> Float[Tensor, "text dim"]:
        """The vectors behind the head."""
        return vectors @ self.matrix.to(vectors.dtype)


@dataclass(frozen=True, kw_only=True)
class Projected(Form):
    """An objective of what comes out of a trained head, for anchors and candidates alike.

    Attributes:
        of: the objective.
        head: the head.
    """

    of: Form | HasForm
    head: LinearHead = LinearHead()

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", form_of(self.of))
        require(isinstance(self.of, Form), self, "of", "an objective")
        require(isinstance(self.head, LinearHead), self, "head", "a head, such as LinearHead(seed=0)")

    def outcome(self, problem: Problem | Outline, memory: Memory) -> Outcome:
        """The losses of the anchors behind the head."""
        assert isinstance(self.of, Form)
        head = memory.at("head").of(Head)
        behind = replace(problem, anchors=head(problem.anchors), candidates=head(problem.candidates))
        return self.of.outcome(behind, memory.at("of"))
