"""Loss and gradients of rows in tiles: the matrix of rows and columns is never whole (after arXiv 2410.17243).

The loss is a mean over rows, so its gradient is a sum over tiles of rows. Each tile is computed, differentiated and
forgotten; what is left is the gradient in the vectors, which is handed on when the backward pass asks for it. Where
rows need sums over all rows, tiles are gone through twice.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nearfar.objectives.memory import looking_only
from nearfar.objectives.outline import Outline
from nearfar.objectives.part import Outcome
from nearfar.objectives.problem import Problem


@runtime_checkable
class InTwoPasses(Protocol):
    """A criterion that concludes the losses from what tiles of rows tell."""

    def survey(self, problem: Problem) -> Any:
        """What the rows of a problem tell."""

    def conclude(
        self, surveys: Iterable[Any], rows: int, pairs: int
    ) -> tuple[Outcome, Callable[[int, Problem], Float[Tensor, ""]]]:
        """The losses of all rows, and for the place of a tile and its problem what stands for them in the gradient."""


def one_pass(outline: Outline, compute: Callable[[Problem], Outcome], modules: Iterable[nn.Module]) -> Outcome:
    """The outcome of rows each of which needs only itself and the columns.

    Args:
        outline: the rows.
        compute: the outcome of some of them.
        modules: what the objective trains and remembers.
    """
    slopes = _Slopes(outline, modules)
    losses = outline.anchors.new_zeros(len(outline))
    kept = torch.zeros_like(losses)
    for start, stop, problem in slopes.tiles():
        with torch.set_grad_enabled(slopes.wanted):
            outcome = compute(problem)
            total = torch.where(outcome.kept, outcome.losses, 0.0).sum()
        slopes.add(total, start, stop)
        losses[start:stop] = torch.where(outcome.kept, outcome.losses, 0.0).detach()
        kept[start:stop] = outcome.kept.to(kept.dtype)
    outline.tiling.add_up(losses, kept)
    counted = kept > 0
    return slopes.attached(losses, counted, counted.sum().clamp(min=1))


def two_passes(
    outline: Outline, see: Callable[[Problem], Problem], criterion: InTwoPasses, modules: Sequence[nn.Module]
) -> Outcome:
    """The outcome of rows that need sums over all rows.

    Args:
        outline: the rows.
        see: what the criterion sees of some of them.
        criterion: tells what to add up.
        modules: what the objective trains and remembers.
    """
    edges = outline.tiling.tiles(len(outline), len(outline.candidates))

    def survey(start: int, stop: int) -> Any:
        with torch.no_grad(), looking_only(modules):
            return criterion.survey(see(outline.rows(start, stop)))

    surveys = (survey(start, stop) for start, stop in edges)
    outcome, stands_for = criterion.conclude(surveys, len(outline), len(outline.positive.rows))
    slopes = _Slopes(outline, modules)
    if slopes.wanted:
        for start, stop, problem in slopes.tiles():
            with torch.enable_grad():
                total = stands_for(edges.index((start, stop)), see(problem))
            slopes.add(total, start, stop)
    else:
        for start, stop in edges[:1]:
            see(outline.rows(start, stop))  # what the parts remember, they remember once
    return slopes.attached(outcome.losses.detach(), outcome.kept, outcome.losses.new_ones(()))


class _Slopes:
    """Gradients in the vectors of rows and columns, and in what the objective trains, added up over tiles."""

    def __init__(self, outline: Outline, modules: Iterable[nn.Module]) -> None:
        self._outline = outline
        parameters = [each for module in modules for each in module.parameters() if each.requires_grad]
        self._inputs = [outline.anchors, outline.candidates, *parameters]
        self.wanted = torch.is_grad_enabled() and any(each.requires_grad for each in self._inputs)
        self._found = [torch.zeros_like(each) for each in self._inputs] if self.wanted else []
        self._tile: list[Tensor] = []

    def tiles(self) -> Iterator[tuple[int, int, Problem]]:
        """The problem of each tile, from vectors that ask for gradients of their own."""
        outline, tiling = self._outline, self._outline.tiling
        every = tiling.tiles(len(outline), len(outline.candidates))
        for start, stop in every[tiling.rank :: tiling.world]:
            rows = outline.anchors[start:stop].detach().requires_grad_(self.wanted)
            columns = outline.candidates.detach().requires_grad_(self.wanted)
            self._tile = [rows, columns]
            yield start, stop, outline.rows(start, stop, rows, columns)

    def add(self, total: Float[Tensor, ""], start: int, stop: int) -> None:
        """Add the gradient of a number that was computed from the tile at hand."""
        if not (self.wanted and total.requires_grad):
            return
        slopes = torch.autograd.grad(total, [*self._tile, *self._inputs[2:]], allow_unused=True)
        if slopes[0] is not None:
            self._found[0][start:stop] += slopes[0]
        for into, slope in zip(self._found[1:], slopes[1:], strict=True):
            if slope is not None:
                into += slope

    def attached(self, losses: Float[Tensor, " row"], kept: Bool[Tensor, " row"], divisor: Tensor) -> Outcome:
        """The outcome whose mean has the gradient that was found, over a divisor.

        Every row that counts carries the gradient of the whole, and so does their mean.
        """
        if not self.wanted:
            return Outcome(losses, kept)
        self._outline.tiling.add_up(*self._found)
        slopes, tiling = [each / divisor for each in self._found], self._outline.tiling

        def weigh(slope: Tensor) -> None:
            if tiling.watcher is not None:
                tiling.watcher.weigh(tiling.path, slope / divisor)

        nothing: Tensor = _Attached.apply(tuple(slopes), weigh, *self._inputs)  # type: ignore[no-untyped-call]
        return Outcome(torch.where(kept, losses + nothing, 0.0), kept)


class _Attached(torch.autograd.Function):
    """Zero, with gradients that are known already."""

    @staticmethod
    def forward(ctx: Any, slopes: tuple[Tensor, ...], weigh: Callable[[Tensor], None], *inputs: Tensor) -> Tensor:
        ctx.slopes, ctx.weigh = slopes, weigh
        return inputs[0].new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        ctx.weigh(slope)
        return None, None, *(slope * each for each in ctx.slopes)
