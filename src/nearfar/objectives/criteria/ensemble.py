"""A random, calibrated loss in every step, of which only the gradient is defined (arXiv 2409.00908)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.config.component import is_number, is_whole, require
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class RandomSlopes(Criterion):
    """Each pair has a margin, ``z`` for a positive and ``-z`` for a negative, and is given a slope that was drawn.

    Slopes are never positive and the larger the margin the nearer to 0, as those of a convex calibrated loss are; above
    a margin of 1 they fall off with it. The value is the mean of margins times slopes and means nothing.

    Attributes:
        power: of the inverse Box-Cox transformation that shapes the slopes, from -1 to 1; 0 is log-normal.
        period: how many calls until another power is drawn from -1 to 1; 0 keeps the one that is given.
        seed: of what is drawn.
    """

    power: float = 0.0
    period: int = 0
    seed: int = 0
    scope: ClassVar[Scope] = "batch"
    detached: ClassVar[tuple[str, ...]] = ("slopes",)

    def __post_init__(self) -> None:
        require(is_number(self.power) and -1 <= self.power <= 1, self, "power", "a number from -1 to 1")
        for field in ("period", "seed"):
            value = getattr(self, field)
            whole = is_whole(value)
            require(whole and value >= 0, self, field, "a whole number of at least 0")

    def make_memory(self, dim: int) -> nn.Module:
        """The number of calls."""
        return Draws(self.seed)

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss whose gradient is that of the slopes."""
        margins = torch.where(problem.positive, problem.z, -problem.z)
        slopes = self._slopes(problem, margins.detach(), memory.of(Draws))
        loss = torch.where(problem.valid, slopes * margins, 0.0).sum() / problem.valid.sum().clamp(min=1)
        return of_the_whole(loss, problem.valid.any(dim=1))

    def _slopes(
        self, problem: Problem, margins: Float[Tensor, "row column"], draws: Draws
    ) -> Float[Tensor, "row column"]:
        """The slope of each usable pair: sorted draws, in the order of the margins."""
        calls = int(draws.calls)
        drawn = torch.randn(margins.shape, generator=draws.generator(), dtype=torch.float64)
        values = -inverse_box_cox(drawn, self._power(calls)).clamp(max=1.0).to(margins)
        unusable = ~problem.valid
        order = margins.masked_fill(unusable, float("inf")).flatten().argsort(stable=True)
        values = values.masked_fill(unusable, float("inf")).flatten().sort().values
        slopes = torch.zeros_like(values).scatter(0, order, values).reshape(margins.shape)
        beyond = margins > 1
        slopes = slopes / torch.where(beyond, margins, 1.0) - 1e-6
        return torch.where(problem.valid, slopes, 0.0)

    def _power(self, calls: int) -> float:
        """The power of a call."""
        if not self.period:
            return self.power
        epoch = torch.Generator().manual_seed((self.seed * 0x9E3779B97F4A7C15 + 1 + calls // self.period) % 2**63)
        return float(2 * torch.rand((), generator=epoch, dtype=torch.float64) - 1)


def inverse_box_cox(values: Float[Tensor, "..."], power: float) -> Float[Tensor, "..."]:
    """``exp`` for a power of 0, else ``(1 + power * value) ** (1 / power)`` with the bracket at no less than 0."""
    if power == 0:
        return values.exp()
    return (1 + power * values).clamp(min=0) ** (1 / power)
