"""Faster training on a processor, for any model, without a change to it.

Inside ``quick_on_processor`` three functions of PyTorch, dropout, attention and embedding, are taken over by ours.
Nothing in the model is replaced: what is saved, copied, compiled or set by ``set_dropout`` is as it was.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nearfar.encoders.attention import attend, can_attend
from nearfar.encoders.dropout import can_drop, dropped
from nearfar.encoders.tables import can_look_up, looked_up

_pytorch = functional.scaled_dot_product_attention


def quick_on_processor(module: nn.Module) -> AbstractContextManager[object]:
    """While ``module`` trains on a processor, its forward pass takes our functions; else nothing changes.

    It has to be entered in the forward pass itself, so that a checkpoint that repeats the pass enters it again.
    """
    first = next(module.parameters(), None)
    trains = module.training and torch.is_grad_enabled() and first is not None and first.device.type == "cpu"
    return _Quick() if trains and not torch.compiler.is_compiling() else nullcontext()


class _Quick(TorchFunctionMode):
    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not torch.compiler.is_compiling():
            function = _OURS.get(function, function)
        return function(*args, **(kwargs or {}))


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if training and not inplace and can_drop(input, p):
        return dropped(input, p)
    return functional.dropout(input, p, training, inplace)


def _embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    if max_norm is None and not scale_grad_by_freq and not sparse and can_look_up(weight):
        return looked_up(input, weight, padding_idx)
    return functional.embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (side.to(torch.get_autocast_dtype("cpu")) for side in (query, key, value))
    consistent = attn_mask is None or not is_causal
    if consistent and can_attend(query, key, value, attn_mask, dropout_p):
        return attend(query, key, value, attn_mask, dropout_p, is_causal, scale)
    if dropout_p == 0 and query.dtype == torch.bfloat16 and query.device.type == "cpu":
        # The backward pass of the fused kernel takes 5 times as long in bfloat16 as in float32.
        mask = attn_mask if attn_mask is None or attn_mask.dtype == torch.bool else attn_mask.float()
        with torch.autocast("cpu", enabled=False):
            wide = (query.float(), key.float(), value.float())
            return _pytorch(*wide, mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa).bfloat16()
    return _pytorch(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)


_OURS: dict[Callable[..., Any], Callable[..., Any]] = {
    functional.dropout: _dropout,
    functional.embedding: _embedding,
    _pytorch: _attention,
}
