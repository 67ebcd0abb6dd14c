"""The temperature of distributionally robust rows: one for each example, from how far its row is from uniform."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.config.component import is_number, require
from nearfar.objectives.logits.temperature import divided
from nearfar.objectives.memory import Memory, Table
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem
from nearfar.objectives.softmax import masked_logsumexp


@dataclass(frozen=True, kw_only=True)
class AdaptiveTemperature(Logits):
    """A temperature for each example: ``initial * (1 - KL(p, uniform) / (alpha * log K))`` over its K valid columns.

    ``p`` is the softmax of the row at the temperature that the example had before. A row that is uniform, as that of an
    example whose label cannot be learned, keeps the initial temperature; a sure one comes down to ``1 - 1 / alpha`` of
    it. The new temperature counts at once and is remembered by the index of the example.

    Attributes:
        initial: of an example that was never seen; above 0.
        alpha: above 1.
    """

    initial: float = 1.0
    alpha: float = 2.0
    needs: ClassVar[frozenset[str]] = frozenset({"index"})
    detached: ClassVar[tuple[str, ...]] = ("temperature of each example",)

    def __post_init__(self) -> None:
        require(is_number(self.initial) and self.initial > 0, self, "initial", "a number above 0")
        require(is_number(self.alpha) and self.alpha > 1, self, "alpha", "a number above 1")

    def make_memory(self, dim: int) -> nn.Module:
        """The temperature of each example."""
        return Table(self.initial)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with logits divided row by row."""
        assert problem.index is not None
        table = memory.of(Table)
        with torch.no_grad():
            before = table.read(problem.index)[0].to(problem.z.dtype)
            count = problem.valid.sum(dim=1, keepdim=True).to(problem.z.dtype)
            spare = (self._divergence(problem, before) / (self.alpha * count.clamp(min=2).log())).clamp(min=0.0)
            now = self.initial * (1 - spare)
            counts = problem.positive.any(dim=1)
            table.write(torch.where(counts, problem.index, -1), now)
        return divided(problem, now)

    def _divergence(self, problem: Problem, temperature: Float[Tensor, "row 1"]) -> Float[Tensor, "row 1"]:
        """KL from uniform of the softmax of each row; 0 for a row of one column or none."""
        logits = problem.z / temperature
        mass = masked_logsumexp(logits, problem.valid)[:, None]
        usable = problem.valid & torch.isfinite(mass)
        logs = torch.where(usable, logits - torch.where(torch.isfinite(mass), mass, 0.0), 0.0)
        count = problem.valid.sum(dim=1, keepdim=True).clamp(min=1).to(logs.dtype)
        terms = torch.where(usable, logs.exp() * (logs + count.log()), 0.0)
        return terms.sum(dim=1, keepdim=True)
