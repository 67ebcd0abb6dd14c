"""Looking up token vectors so that the gradient of a large table is made once in a step, and not in every pass.

The gradient of a table is as large as the table, 47 MB for the 30,522 tokens of MiniLM, and nearly all of it is zero.
PyTorch makes one for each forward pass and adds them up. Here all passes of a step add the rows that they read to one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
class Share:
    """What the passes of a step have in common.

    Attributes:
        table: what they read in the place of the table.
        total: where they put their gradients.
        key: the id of the table itself.
    """

    table: Tensor
    total: _Total
    key: int


_shared: WeakValueDictionary[int, Share] = WeakValueDictionary()
"""By the id of a table. The graph of the step keeps it alive."""


def can_look_up(table: Tensor) -> bool:
    """Whether ``looked_up`` takes this: a large table of float32 on a processor, trained as it is."""
    plain = table.is_leaf and table.requires_grad and table.layout == torch.strided and table.ndim == 2
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
    shared = share(table)
    padding = padding + len(table) if padding is not None and padding < 0 else padding
    rows: Tensor = _Rows.apply(shared.table, places, padding, shared)  # type: ignore[no-untyped-call]
    return rows


def share(table: Float[Tensor, "token dim"]) -> Share:
    """What the passes of this step have in common, for as long as someone has it or a graph of theirs is there.

    Whatever has ``Share.table`` as an input is waited for before the gradient of the table is done.
    """
    shared = _shared.get(id(table))
    if shared is None or shared.table.data_ptr() != table.data_ptr() or shared.table.shape != table.shape:
        total = _Total()
        shared = Share(_Whole.apply(table, total), total, id(table))  # type: ignore[no-untyped-call]
        _shared[id(table)] = shared
    return shared


@contextmanager
def set_apart(shares: Sequence[Share]) -> Iterator[list[Tensor]]:
    """Inside, these tables are read from leaves, which are given, and gradients in those go to the same totals.

    For graphs that are made and differentiated while the backward pass of the step is under way.
    """
    apart = [replace(each, table=each.table.detach().requires_grad_()) for each in shares]
    before = {each.key: _shared.pop(each.key, None) for each in apart}
    try:
        _shared.update({each.key: each for each in apart})
        yield [each.table for each in apart]
    finally:
        for key, found in before.items():
            _shared.pop(key, None)
            if found is not None:
                _shared[key] = found


class _Whole(torch.autograd.Function):
    """The table itself; its backward pass runs once, when the rows of all passes are there."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, total: _Total) -> Tensor:
        ctx.total = total
        ctx.set_materialize_grads(False)  # zeros as large as the table
        return table.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        found, ctx.total.gradient = ctx.total.gradient, None
        return gradient if found is None else found, None


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, places: Tensor, padding: int | None, shared: Share) -> Tensor:
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
