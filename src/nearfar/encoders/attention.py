"""Attention with dropout on a processor, in pieces that fit the caches and without keeping the attention weights.

PyTorch's fused kernel for processors has no dropout. With dropout, ``scaled_dot_product_attention`` draws a double for
every weight, makes a dozen passes over memory, and keeps several matrices of weights for the backward pass. Here texts
are taken a few at a time, the weights are computed again in the backward pass, and only the zeros and ones of the
dropout are kept, two bytes each.
"""

from math import sqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from nearfar.encoders.dropout import can_drop, draw_kept, kept_scale

_PIECE = 2**18
"""Attention weights that are worked on at once: 1 MB, so that a few such matrices fit a core's cache."""


def can_attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, probability: float) -> bool:
    """Whether ``attend`` takes this: equally many texts and heads on all sides, and no query that may see nothing."""
    sides = (query, key, value)
    return (
        all(side.ndim == 4 and side.shape[:2] == query.shape[:2] for side in sides)
        and all(can_drop(side, probability) and side.dtype == query.dtype for side in sides)
        and (mask is None or (2 <= mask.ndim <= 4 and not mask.requires_grad and _every_query_sees(mask)))
    )


def attend(
    query: Float[Tensor, "text head row width"],
    key: Float[Tensor, "text head column width"],
    value: Float[Tensor, "text head column value"],
    mask: Tensor | None,
    probability: float,
    causal: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "text head row value"]:
    """What ``scaled_dot_product_attention`` gives, with the same distribution but other draws. Needs ``can_attend``.

    Computed in float32, whatever comes in and whatever autocast says; given in the dtype of ``query``.

    Args:
        query: of every token.
        key: of every token.
        value: of every token.
        mask: True where a query may look, or a number to add to the score; of a shape that broadcasts.
        probability: of a weight to be dropped.
        causal: a query looks at nothing behind its own place.
        scale: of the scores; None for one over the root of the width.
    """
    if causal:
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril()
    added = None if mask is None else _added(mask, len(query))
    with torch.autocast("cpu", enabled=False):
        scale = 1 / sqrt(query.shape[-1]) if scale is None else scale
        attended: Tensor = _Attention.apply(query, key, value, added, probability, scale)  # type: ignore[no-untyped-call]
    return attended


class _Attention(torch.autograd.Function):
    """Forward and backward, a few texts at a time. With P the weights and D the dropout:

    O = (P D) V, and for a gradient G of O: dV = (P D)' G, dP = (G V') D, dS = P (dP - rowsum(dP P)), where the sum over
    a row is G O of that row (Dao et al. 2022, FlashAttention, appendix B; it holds with dropout too).
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, added: Tensor | None, probability: float, scale: float
    ) -> Tensor:
        texts, heads, rows, columns = *query.shape[:3], key.shape[2]
        kept, share = draw_kept((texts, heads, rows, columns), probability), kept_scale(probability)
        # Memory in the order (text, row, head): what follows merges the heads of a row.
        attended = query.new_empty(texts, rows, heads, value.shape[3]).transpose(1, 2)
        for piece in _pieces(texts, heads * rows * columns):
            weights = _weights(_flat(query[piece]) * scale, _flat(key[piece]), _part(added, piece), heads)
            weights.mul_(kept[piece].flatten(0, 1).to(torch.float32))
            found = torch.bmm(weights, _flat(value[piece])).mul_(share)
            attended[piece] = found.view(-1, heads, rows, value.shape[3])
        ctx.save_for_backward(query, key, value, added, kept, attended)
        ctx.share, ctx.scale = share, scale
        return attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, added, kept, attended = ctx.saved_tensors
        gradients = [side.new_empty(side.transpose(1, 2).shape).transpose(1, 2) for side in (query, key, value)]
        for piece in _pieces(len(query), kept[0].numel()):
            asked, keys = _flat(query[piece]) * ctx.scale, _flat(key[piece])
            weights = _weights(asked, keys, _part(added, piece), query.shape[1])
            arriving = _flat(gradient[piece])
            centre = (arriving * _flat(attended[piece])).sum(-1, keepdim=True)
            arriving = arriving * ctx.share
            noise = kept[piece].flatten(0, 1).to(torch.float32)
            scores = torch.bmm(arriving, _flat(value[piece]).transpose(1, 2)).mul_(noise).sub_(centre).mul_(weights)
            found = (
                torch.bmm(scores, keys).mul_(ctx.scale),
                torch.bmm(scores.transpose(1, 2), asked),
                torch.bmm(noise.mul_(weights).transpose(1, 2), arriving),
            )
            for whole, part in zip(gradients, found, strict=True):
                whole[piece] = part.view(whole[piece].shape)
        return *gradients, None, None, None


def _pieces(texts: int, each: int) -> list[slice]:
    """Runs of texts with at most ``_PIECE`` weights, one text at least."""
    size = max(1, _PIECE // max(each, 1))
    return [slice(start, start + size) for start in range(0, texts, size)]


def _flat(side: Float[Tensor, "text head row width"]) -> Float[Tensor, "both row width"]:
    """In float32, texts and heads as one axis; no copy of a single text in float32."""
    return side.float().flatten(0, 1)


def _weights(
    query: Float[Tensor, "both row width"], key: Float[Tensor, "both column width"], added: Tensor | None, heads: int
) -> Float[Tensor, "both row column"]:
    scores = torch.bmm(query, key.transpose(1, 2))
    if added is not None and bool(added.any()):  # texts of full length have nothing to hide
        scores.view(-1, heads, *scores.shape[1:]).add_(added)
    return torch.softmax(scores, -1)


def _part(added: Tensor | None, piece: slice) -> Tensor | None:
    return added if added is None or len(added) == 1 else added[piece]


def _added(mask: Tensor, texts: int) -> Float[Tensor, "some_text some_head some_row column"]:
    """The mask as numbers that are added to scores, in four axes, each of size 1 where it says the same throughout."""
    mask = _compact(mask.view((1,) * (4 - mask.ndim) + mask.shape))
    if mask.dtype != torch.bool:
        return mask.float()
    return torch.zeros(mask.shape).masked_fill_(~mask, -torch.inf)


def _compact(mask: Tensor) -> Tensor:
    """An axis along which the mask was expanded, at its first place."""
    for axis, step in enumerate(mask.stride()):
        if step == 0 and mask.shape[axis] > 1:
            mask = mask.narrow(axis, 0, 1)
    return mask


def _every_query_sees(mask: Tensor) -> bool:
    seen = mask if mask.dtype == torch.bool else mask != -torch.inf
    return bool(_compact(seen).any(-1).all())
