"""The softmax row (criterion C1): log-ratios of a positive against a masked log-sum.

Everything is in log space with minus infinity for what is left out: never ``exp`` times a mask, never a finite
sentinel. A row in which nothing is left gives minus infinity forwards and zero gradient backwards.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def masked_logsumexp(logits: Float[Tensor, "row column"], mask: Bool[Tensor, "row column"]) -> Float[Tensor, " row"]:
    """Log-sum-exp over the columns where ``mask`` holds; minus infinity for a row in which it holds nowhere."""
    empty = ~mask.any(dim=1)
    kept = logits.masked_fill(~mask, float("-inf"))
    # The backward pass of an all -inf row is NaN, so such a row takes a finite detour.
    return torch.logsumexp(kept.masked_fill(empty[:, None], 0.0), dim=1).masked_fill(empty, float("-inf"))


def mean_over_rows(losses: Float[Tensor, " anchor"], kept: Bool[Tensor, " anchor"]) -> Float[Tensor, ""]:
    """The mean over the kept rows: the only place where row losses become one number.

    When no row is kept the result is 0, still connected to the graph, so that a backward pass works.
    """
    return torch.where(kept, losses, 0.0).sum() / kept.sum().clamp(min=1)
