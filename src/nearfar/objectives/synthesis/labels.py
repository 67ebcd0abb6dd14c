"""Mixtures between labels that are numbers: of an anchor with another text, and of texts around an anchor's label."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nearfar.config.component import is_number, require
from nearfar.errors import ConfigError
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Synthesis
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.columns import append_private
from nearfar.objectives.synthesis.draws import beta, members
from nearfar.objectives.synthesis.mix import finished, require_concentration, require_whole


@dataclass(frozen=True, kw_only=True)
class MixTowardsLabels(Synthesis):
    """Each row with texts of other labels, as negatives whose label is mixed in the same way.

    Works on a square problem whose rows and columns have ``labels``. The grade of a mixture is minus the distance of
    its label to that of the row.

    Attributes:
        count: columns for each row.
        concentration: the two parameters of the beta distribution of the row's own share.
        renormalise: bring the mixture back to length 1.
        seed: of the draws.
    """

    count: int = 8
    concentration: tuple[float, float] = (2.0, 8.0)
    renormalise: bool = True
    seed: int = 0
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    detached: ClassVar[tuple[str, ...]] = ("mixtures",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_whole(self, "count", 0)
        require_concentration(self, "concentration")
        require(isinstance(self.renormalise, bool), self, "renormalise", "true or false")

    def make_memory(self, dim: int) -> nn.Module:
        """The draws."""
        return Draws(self.seed)

    def draw(
        self, problem: Problem, generator: torch.Generator
    ) -> tuple[Int[Tensor, "row made"], Float[Tensor, "row made"]]:
        """Which column each row is mixed with, -1 for none, and the row's own share."""
        size = len(problem.anchors)
        gaps = label_gaps(problem)
        other = members(generator, problem.valid[:, :size] & (gaps != 0), self.count)
        return other, beta(generator, self.concentration, other.shape, problem.anchors)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the mixtures as columns."""
        generator = memory.of(Draws).generator()
        if not self.count:
            return problem
        other, share = self.draw(problem, generator)
        usable = other >= 0
        mixed = share[..., None] * problem.anchors[:, None] + (1 - share[..., None]) * problem.anchors[other]
        distance = ((1 - share) * label_gaps(problem).gather(1, other.clamp(min=0))).abs()
        made = finished(mixed, usable, renormalise=self.renormalise, detach=True)
        return append_private(problem, made, usable, grades=torch.where(usable, -distance, 0.0))


@dataclass(frozen=True, kw_only=True)
class MixAroundLabels(Synthesis):
    """Texts with a lower and a higher label than a row, mixed so that the label is the row's own, as positives.

    Works on a square problem whose rows and columns have ``labels``.

    Attributes:
        count: columns for each row.
        window: both labels are nearer than this to the row's own.
        renormalise: bring the mixture back to length 1.
        seed: of the draws.
    """

    count: int = 8
    window: float = 5.0
    renormalise: bool = True
    seed: int = 0
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    detached: ClassVar[tuple[str, ...]] = ("mixtures",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_whole(self, "count", 0)
        require(is_number(self.window) and self.window > 0, self, "window", "a number above 0")
        require(isinstance(self.renormalise, bool), self, "renormalise", "true or false")

    def make_memory(self, dim: int) -> nn.Module:
        """The draws."""
        return Draws(self.seed)

    def draw(
        self, problem: Problem, generator: torch.Generator
    ) -> tuple[Int[Tensor, "row made"], Int[Tensor, "row made"]]:
        """A column with a lower and one with a higher label, -1 where there is none."""
        gaps = label_gaps(problem)
        near = problem.valid[:, : len(gaps)] & (gaps.abs() < self.window)
        return members(generator, near & (gaps < 0), self.count), members(generator, near & (gaps > 0), self.count)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the mixtures as columns."""
        generator = memory.of(Draws).generator()
        if not self.count:
            return problem
        lower, higher = self.draw(problem, generator)
        usable = (lower >= 0) & (higher >= 0)
        gaps = label_gaps(problem)
        below, above = -gaps.gather(1, lower.clamp(min=0)), gaps.gather(1, higher.clamp(min=0))
        share = torch.where(usable, above, 0.0) / torch.where(usable, above + below, 1.0)
        mixed = share[..., None] * problem.anchors[lower] + (1 - share[..., None]) * problem.anchors[higher]
        made = finished(mixed, usable, renormalise=self.renormalise, detach=True)
        return append_private(problem, made, usable, positive=usable)


def label_gaps(problem: Problem) -> Float[Tensor, "row row"]:
    """The label of each column less that of the row, for the columns that are rows too."""
    assert problem.labels is not None
    if problem.valid.shape[1] < len(problem.labels):
        raise ConfigError(
            f"Mixtures between labels are of texts among themselves, but there are {len(problem.labels)} rows and "
            f"{problem.valid.shape[1]} columns. Take candidates=LabelledSides()."
        )
    return (problem.labels[None, :] - problem.labels[:, None]).to(problem.anchors.dtype)
