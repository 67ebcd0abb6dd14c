"""Logits brought to a common size, row by row or column by column."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Logits
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Standardise(Logits):
    """Each row of logits over its own size, so that only its shape counts. A row without any size becomes 0.

    Attributes:
        by: ``deviation`` subtracts the mean and divides by the population deviation; ``magnitude`` divides by the mean
            absolute value; ``softplus`` makes all logits positive first and divides by their mean.
    """

    by: Literal["deviation", "magnitude", "softplus"] = "deviation"

    def __post_init__(self) -> None:
        require(self.by in ("deviation", "magnitude", "softplus"), self, "by", "deviation, magnitude or softplus")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with standardised logits."""
        logits = softplus(problem.z) if self.by == "softplus" else problem.z
        if self.by == "deviation":
            logits = logits - _mean(logits, problem.valid)
            spread = _mean(logits.square(), problem.valid)
            # Below what rounding leaves of equal logits there is no deviation.
            noise = (16 * torch.finfo(logits.dtype).eps) ** 2 * _mean(problem.z.square(), problem.valid).clamp(
                min=1e-30
            )
            some = spread > noise
            size = torch.where(some, spread, 1.0).sqrt()
        else:
            spread = _mean(logits.abs(), problem.valid)
            some = spread > 0
            size = torch.where(some, spread, 1.0)
        return replace(problem, logits=torch.where(some, logits / size, 0.0))


@dataclass(frozen=True, kw_only=True)
class ColumnScale(Logits):
    """Each column of logits over its deviation in the batch, so that classes of narrow logits are sharpened.

    The divisor is at most 1 and carries no gradient. A column without deviation stays as it is.

    Attributes:
        factor: multiplies the population deviation; above 0.
    """

    factor: float = 1.0
    detached: ClassVar[tuple[str, ...]] = ("deviation of each column",)
    across_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(is_number(self.factor) and self.factor > 0, self, "factor", "a number above 0")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with sharpened columns."""
        with torch.no_grad():
            count = problem.valid.sum(dim=0)
            centred = torch.where(problem.valid, problem.z - _mean(problem.z.T, problem.valid.T).T, 0.0)
            deviation = (centred.square().sum(dim=0) / count.clamp(min=1)).sqrt()
            divisor = (self.factor * deviation).clamp(max=1.0)
            divisor = torch.where(deviation > 1e-6, divisor, 1.0)
        return replace(problem, logits=problem.z / divisor)


def _mean(values: Float[Tensor, "row column"], mask: Bool[Tensor, "row column"]) -> Float[Tensor, "row 1"]:
    """The mean of each row over a mask; 0 where the mask is empty."""
    kept = torch.where(mask, values, 0.0).sum(dim=1, keepdim=True)
    return kept / mask.sum(dim=1, keepdim=True).clamp(min=1)
