"""Looking up token vectors so that the gradient of a large table is made once in a step, and not in every pass.

The gradient of a table is as large as the table, 47 MB for the 30,522 tokens of MiniLM, and nearly all of it is zero.
PyTorch makes one for each forward pass and adds them up. Here all passes of a step add the rows that they read to one.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

_LARGE = 2**20
"""Entries of a table from which on this is worth it."""


@dataclass(eq=False)
class _Total:
    """The gradient of a table so far, while a backward pass is under way."""

    gradient: Tensor | None = None


@dataclass(eq=False)
class _Shared:
    """What the passes of a step read in the place of a table, and where they put their gradients."""

    table: Tensor
    total: _Total


_shared: WeakValueDictionary[int, _Shared] = WeakValueDictionary()
"""By the id of a table. The graph of the step keeps it alive."""


def can_look_up(table: Tensor) -> bool:
    """Whether ``looked_up`` takes this: a large table of float32 on a processor, trained as it is."""
    plain = table.is_leaf and table.requires_grad and table.layout == torch.strided
    return plain and table.device.type == "cpu" and table.dtype == torch.float32 and table.numel() >= _LARGE


def looked_up(
    places: Int[Tensor, "*shape"], table: Float[Tensor, "token dim"], padding: int | None = None
) -> Float[Tensor, "*shape dim"]:
    """Rows of a table, as ``embedding`` gives them. Needs ``can_look_up``.

    Args:
        places: which rows.
        table: to read from.
        padding: a row that gets no gradient.
    """
    shared = _shared.get(id(table))
    if shared is None or shared.table.data_ptr() != table.data_ptr() or shared.table.shape != table.shape:
        total = _Total()
        shared = _Shared(_Whole.apply(table, total), total)  # type: ignore[no-untyped-call]
        _shared[id(table)] = shared
    padding = padding + len(table) if padding is not None and padding < 0 else padding
    rows: Tensor = _Rows.apply(shared.table, places, padding, shared)  # type: ignore[no-untyped-call]
    return rows


class _Whole(torch.autograd.Function):
    """The table itself; its backward pass runs once, when the rows of all passes are there."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, total: _Total) -> Tensor:
        ctx.total = total
        return table.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        found, ctx.total.gradient = ctx.total.gradient, None
        return gradient if found is None else found, None


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, places: Tensor, padding: int | None, shared: _Shared) -> Tensor:
        ctx.shared, ctx.padding = shared, padding  # an attribute, so that the next pass of the step finds the table
        ctx.save_for_backward(places)
        return torch.nn.functional.embedding(places, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, ...]:
        (places,) = ctx.saved_tensors
        rows, values = places.flatten(), gradient.reshape(-1, gradient.shape[-1])
        if ctx.padding is not None:
            values = values.masked_fill((rows == ctx.padding)[:, None], 0)
        total = ctx.shared.total
        if total.gradient is None:
            total.gradient = torch.zeros_like(ctx.shared.table)
        total.gradient.index_add_(0, rows, values)  # in place: a step may have any number of passes
        return None, None, None, None
