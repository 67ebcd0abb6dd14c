"""The softmax row (criterion C1): log-ratios of a positive against a masked log-sum.

Everything is in log space with minus infinity for what is left out: never ``exp`` times a mask, never a finite
sentinel. A row in which nothing is left gives minus infinity forwards and zero gradient backwards.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def masked_logsumexp(logits: Float[Tensor, "row column"], mask: Bool[Tensor, "row column"]) -> Float[Tensor, " row"]:
    """Log-sum-exp over the columns where ``mask`` holds; minus infinity for a row in which it holds nowhere."""
    found: Tensor = _MaskedLogSumExp.apply(logits, mask)  # type: ignore[no-untyped-call]
    return found


class _MaskedLogSumExp(torch.autograd.Function):
    """One copy of the logits, which becomes their exponentials and is all that the backward pass needs.

    An entry that is left out is 0 in it, so that it has no gradient, whatever its logit.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, mask: Tensor) -> Tensor:
        powers = logits.masked_fill(~mask, float("-inf"))
        highest = powers.amax(dim=1, keepdim=True) if powers.shape[1] else powers.new_full((len(powers), 1), -1.0)
        highest = torch.where(highest.isinf(), 0.0, highest)  # a row without any is minus infinity, not NaN
        sums = powers.sub_(highest).exp_().sum(dim=1)
        ctx.save_for_backward(powers, sums)
        return sums.log() + highest[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        powers, sums = ctx.saved_tensors
        return powers * torch.where(sums > 0, slope / sums, 0.0)[:, None], None


def mean_over_rows(losses: Float[Tensor, " anchor"], kept: Bool[Tensor, " anchor"]) -> Float[Tensor, ""]:
    """The mean over the kept rows: the only place where row losses become one number.

    When no row is kept the result is 0, still connected to the graph, so that a backward pass works.
    """
    return torch.where(kept, losses, 0.0).sum() / kept.sum().clamp(min=1)
