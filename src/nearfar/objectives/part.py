"""The five kinds of parts that an objective is made of, and the criterion that ends it.

Every part is a frozen value that prints as text and loads from it. All but the criterion turn a problem into another
one; what a part remembers or trains lives outside of it, in a module that it makes once and is handed at every call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nearfar.config.component import Component
from nearfar.objectives.memory import Memory
from nearfar.objectives.outline import Outline
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import mean_over_rows

Scope = Literal["rows", "batch"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an objective says about a step.

    Attributes:
        losses: the loss of each anchor; 0 where it does not count.
        kept: which anchors count.
        problems: the problems that the criteria saw, for telemetry and for ``explain``.
        terms: parts of the loss by name, where the loss has parts.
        estimates: what the loss of each row stands for, from a criterion whose losses are right only in their gradient.
    """

    losses: Float[Tensor, " row"]
    kept: Bool[Tensor, " row"]
    problems: tuple[Problem, ...] = ()
    terms: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    estimates: Float[Tensor, " row"] | None = None

    @property
    def loss(self) -> Float[Tensor, ""]:
        """The mean over the anchors that count."""
        return mean_over_rows(self.losses, self.kept)


class Part(Component):
    """Base of every part.

    Class attributes:
        needs: the keyword inputs that the part cannot do without.
        detached: names of what the part computes that carries no gradient.
        sized: its memory depends on the width of the embeddings.
        shares_space: guide vectors that it needs are compared with the embeddings, and cut short where those are.
        across_rows: what it does to a row depends on other rows, so that rows cannot be computed in tiles.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    detached: ClassVar[tuple[str, ...]] = ()
    sized: ClassVar[bool] = False
    shares_space: ClassVar[bool] = False
    across_rows: ClassVar[bool] = False

    def make_memory(self, dim: int) -> nn.Module | None:
        """What the part trains or remembers, as a module; None for a part without memory.

        Args:
            dim: width of the embeddings; 0 unless ``sized``.
        """
        return None


class Stage(Part):
    """A part that turns a problem into another one."""

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem after this part."""
        raise NotImplementedError

    def reweigh(self, outcome: Outcome, problem: Problem, memory: Memory) -> Outcome:
        """The outcome after this part, for logits and weights that depend on the losses."""
        return outcome


class Candidates(Stage):
    """Which rows there are and which columns each of them sees."""

    several_rows: ClassVar[bool] = False
    """Whether an anchor may have other than one row."""

    def outline(self, outline: Outline) -> Outline | None:
        """The rows and columns that ``of_tile`` is given some rows of; None where it needs all rows at once."""
        return None if self.across_rows else outline

    def of_tile(self, problem: Problem, memory: Memory) -> Problem:
        """The problem of some rows of the outline."""
        return self.apply(problem, memory)


class Synthesis(Stage):
    """Columns made from other columns, or rows moved. Works on vectors, before similarities."""


class Mask(Stage):
    """Takes pairs out of the problem. Decides without gradient."""


class Logits(Stage):
    """What happens to a similarity before the criterion: margin, temperature, standardisation."""


class Weight(Stage):
    """Weights of rows, of positives, or of negatives as a bias on their logits."""


class Criterion(Part):
    """Turns a processed problem into losses.

    Class attributes:
        scope: ``rows`` when the loss is a mean over rows, each of which needs only its own columns; ``batch`` when it
            is one number of the whole batch, which cannot be computed piece by piece.
        reads: ``scores`` when it needs similarities, ``vectors`` when it looks at the vectors alone.
        blocks_beside: it contrasts anchors among themselves, or candidates, as well.
        needs_positives: it has nothing to say about a batch without a positive pair.
    """

    scope: ClassVar[Scope] = "rows"
    reads: ClassVar[Literal["scores", "vectors"]] = "scores"
    needs_positives: ClassVar[bool] = True

    @property
    def across_rows(self) -> bool:  # type: ignore[override]  # depends on the scope here
        """Whether the loss of a row depends on other rows: that of the whole batch does."""
        return self.scope == "batch"

    @property
    def in_two_passes(self) -> bool:
        """Whether rows need sums over all rows and nothing else of one another.

        Such a criterion has the methods ``survey`` and ``conclude``; see ``nearfar.objectives.tiles``.
        """
        return False

    @property
    def blocks_beside(self) -> bool:
        """Whether anchors, or candidates, are contrasted among themselves."""
        return False

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row."""
        raise NotImplementedError


def of_the_whole(
    loss: Float[Tensor, ""], kept: Bool[Tensor, " row"], terms: Mapping[str, Float[Tensor, ""]] | None = None
) -> Outcome:
    """The outcome of a criterion with one number for the batch: every kept row has the loss of the whole.

    When no row is kept the loss is 0.
    """
    return Outcome(torch.where(kept, loss, 0.0), kept, terms=terms or {})
