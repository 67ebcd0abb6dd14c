"""The temperature: what similarities are divided by. It is never called a scale, its inverse."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Clock, Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Temperature(Logits):
    """A constant temperature.

    Attributes:
        temperature: divides the similarities; above 0.
    """

    temperature: float = 0.05

    def __post_init__(self) -> None:
        _require_temperature(self, "temperature")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with divided logits."""
        return divided(problem, torch.as_tensor(self.temperature, dtype=problem.z.dtype, device=problem.z.device))


@dataclass(frozen=True, kw_only=True)
class LearnedTemperature(Logits):
    """A temperature that is trained with the encoder, as the log of its inverse, within bounds.

    Attributes:
        initial: where it starts.
        minimum: it does not fall below. Beyond a bound only a gradient that leads back is passed on.
        maximum: it does not rise above; none for no such bound.
        bias: where a trained number starts that is added to all logits; none for no such number.
    """

    initial: float = 0.07
    minimum: float = 0.01
    maximum: float | None = None
    bias: float | None = None

    def __post_init__(self) -> None:
        _require_temperature(self, "initial")
        _require_temperature(self, "minimum")
        require(self.minimum <= self.initial, self, "minimum", f"at most the initial one, {self.initial}")
        above = self.maximum is None or (is_number(self.maximum) and self.maximum >= self.initial)
        require(above, self, "maximum", f"at least the initial one, {self.initial}, or none")
        require(self.bias is None or is_number(self.bias), self, "bias", "a number or none")

    def make_memory(self, dim: int) -> nn.Module:
        """The trained numbers."""
        return LearnedScale(-math.log(self.initial), self.bias)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with divided logits."""
        trained = memory.of(LearnedScale)
        lowest = -math.inf if self.maximum is None else -math.log(self.maximum)
        bounded: Tensor = _Bounded.apply(  # type: ignore[no-untyped-call]
            trained.log_scale, lowest, -math.log(self.minimum)
        )
        problem = divided(problem, torch.exp(-bounded).to(problem.z.dtype))
        return (
            problem if trained.bias is None else replace(problem, logits=problem.z + trained.bias.to(problem.z.dtype))
        )


class LearnedScale(nn.Module):
    """A trained log of an inverse temperature, and perhaps a bias."""

    def __init__(self, log_scale: float, bias: float | None) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(log_scale))
        self.bias = None if bias is None else nn.Parameter(torch.tensor(float(bias)))


class _Bounded(torch.autograd.Function):
    """A number within bounds. Beyond them only the gradient of a step back is passed on, so that it is never stuck."""

    @staticmethod
    def forward(ctx: Any, value: Float[Tensor, ""], lowest: float, highest: float) -> Float[Tensor, ""]:
        ctx.save_for_backward(value)
        ctx.bounds = lowest, highest
        return value.clamp(lowest, highest)

    @staticmethod
    def backward(ctx: Any, slope: Float[Tensor, ""]) -> tuple[Float[Tensor, ""], None, None]:
        (value,), (lowest, highest) = ctx.saved_tensors, ctx.bounds
        leads_on = ((value > highest) & (slope < 0)) | ((value < lowest) & (slope > 0))
        return slope.masked_fill(leads_on, 0.0), None, None


@dataclass(frozen=True, kw_only=True)
class ScheduledTemperature(Logits):
    """A temperature that goes from one value to another over the calls in training mode, and stays there.

    Attributes:
        initial: at the first call.
        final: after ``steps`` calls.
        steps: how many calls it takes.
        schedule: ``linear`` or ``cosine``.
    """

    initial: float = 0.1
    final: float = 0.02
    steps: int = 1000
    schedule: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        _require_temperature(self, "initial")
        _require_temperature(self, "final")
        require(isinstance(self.steps, int) and self.steps > 0, self, "steps", "a whole number above 0")
        require(self.schedule in ("linear", "cosine"), self, "schedule", "linear or cosine")

    def make_memory(self, dim: int) -> nn.Module:
        """The number of calls."""
        return Clock()

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with divided logits."""
        done = min(memory.of(Clock).tick() / self.steps, 1.0)
        if self.schedule == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        value = self.initial + (self.final - self.initial) * done
        return divided(problem, torch.as_tensor(value, dtype=problem.z.dtype, device=problem.z.device))


def divided(problem: Problem, temperature: Float[Tensor, "..."]) -> Problem:
    """The problem with its logits divided, and the temperature noted for other blocks."""
    before = problem.temperature
    assert before is not None
    return replace(problem, logits=problem.z / temperature, temperature=before * temperature)


def _require_temperature(part: Logits, field: str) -> None:
    value = getattr(part, field)
    require(is_number(value) and value > 0, part, field, "a number above 0")
