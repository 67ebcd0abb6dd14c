"""The softmax row (criterion C1): log-ratios of a positive against a masked log-sum.

Everything is in log space with minus infinity for what is left out: never ``exp`` times a mask, never a finite
sentinel. A row in which nothing is left gives minus infinity forwards and zero gradient backwards.
"""

from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

Places = tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]


def masked_logsumexp(
    logits: Float[Tensor, "row column"], mask: Bool[Tensor, "row column"] | Places, dim: Literal[0, 1] = 1
) -> Float[Tensor, " line"]:
    """Log-sum-exp where ``mask`` holds; minus infinity for a row, or column, in which it holds nowhere.

    Args:
        logits: of every pair.
        mask: what counts; or rows and columns of what does not, where that is little.
        dim: 1 sums over the columns of each row, 0 over the rows of each column.
    """
    found: Tensor = _MaskedLogSumExp.apply(logits, mask, dim)  # type: ignore[no-untyped-call]
    return found


class _MaskedLogSumExp(torch.autograd.Function):
    """One copy of the logits, which becomes their exponentials and is all that the backward pass needs.

    An entry that is left out is 0 in it, so that it has no gradient, whatever its logit.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, mask: Tensor | Places, dim: int) -> Tensor:
        if isinstance(mask, Tensor):
            powers = logits.masked_fill(~mask, float("-inf"))
        else:
            powers = logits.clone()
            powers[mask] = float("-inf")
        if powers.numel():
            highest = powers.amax(dim=dim, keepdim=True)
            highest = torch.where(highest.isinf(), 0.0, highest)  # where there is none it is minus infinity, not NaN
            powers.sub_(highest).exp_()
        sums = powers.sum(dim=dim)
        ctx.save_for_backward(powers, sums)
        ctx.dim = dim
        return sums.log() + (highest.squeeze(dim) if powers.numel() else 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        powers, sums = ctx.saved_tensors
        return powers * torch.where(sums > 0, slope / sums, 0.0).unsqueeze(ctx.dim), None, None


def mean_over_rows(losses: Float[Tensor, " anchor"], kept: Bool[Tensor, " anchor"]) -> Float[Tensor, ""]:
    """The mean over the kept rows: the only place where row losses become one number.

    When no row is kept the result is 0, still connected to the graph, so that a backward pass works.
    """
    return torch.where(kept, losses, 0.0).sum() / kept.sum().clamp(min=1)
