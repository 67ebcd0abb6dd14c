"""Micro-batches whose activations are not kept: embedded now, and again when their turn comes in the backward pass.

Gradient caching (arXiv 2101.06983) as one node of the graph, whatever the number of micro-batches. A node for each, as
``torch.utils.checkpoint`` makes them, leaves small things between large ones that go, and the memory of a process on a
processor grows with every pass.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from nearfar.encoders.tables import can_look_up, set_apart, share
from nearfar.engine.microbatch import MicroBatch


def embed_again(
    run: Callable[[MicroBatch], Tensor],
    batches: Sequence[MicroBatch],
    weights: Sequence[Tensor],
    device: torch.device,
) -> Float[Tensor, "text dim"]:
    """Vectors of micro-batches, one after the other, with gradient in the weights.

    The backward pass runs the last micro-batch first, as that of a graph would, and adds to one total for each weight.
    So gradients are those of activations that were kept, to the last bit on a processor; only a weight that is used
    more than once in a pass may differ in rounding. A weight that no micro-batch uses has no gradient.

    A hook on a weight sees the gradient of every micro-batch, and then their sum.

    Args:
        run: one forward pass, which does the same when it is called again from the same random state.
        batches: one at least.
        weights: what the passes may have gradients in; leaves that require them.
        device: where the passes are run and draw random numbers, beside the processor.
    """
    passes = _Passes(run, batches, weights, device)
    vectors: Tensor = _Again.apply(passes, *weights, *passes.tables)  # type: ignore[no-untyped-call]
    return vectors


class _Again(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, passes: "_Passes", *weights: Tensor) -> Tensor:
        ctx.passes = passes
        return passes.vectors()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.passes.slopes(slope), *(None for _ in ctx.passes.tables)


class _Passes:
    """What is needed to run the passes again.

    Attributes:
        tables: what large tables of tokens are read from, by which their gradient reaches them.
    """

    def __init__(
        self,
        run: Callable[[MicroBatch], Tensor],
        batches: Sequence[MicroBatch],
        weights: Sequence[Tensor],
        device: torch.device,
    ) -> None:
        self._run, self._batches, self._weights = run, batches, weights
        self._shares = [share(weight) for weight in weights if can_look_up(weight)]
        self._states = _RandomStates(device, len(batches))
        self._sizes = [len(batch.places) for batch in batches]
        self.tables = [each.table for each in self._shares]

    def vectors(self) -> Float[Tensor, "text dim"]:
        """Run every pass, and keep its vectors alone."""
        found: Tensor | None = None
        start = 0
        for place, (batch, size) in enumerate(zip(self._batches, self._sizes, strict=True)):
            self._states.keep(place)
            with torch.enable_grad():  # encoders compute, and draw, in other ways without
                vectors = self._run(batch).detach()
            if found is None:
                found = vectors.new_empty(sum(self._sizes), vectors.shape[1])
            found[start : start + size] = vectors
            start += size
        assert found is not None  # there is a batch
        return found

    def slopes(self, slope: Float[Tensor, "text dim"]) -> list[Tensor | None]:
        """Run every pass again, and give the gradient in each weight; None for one that has none."""
        totals: list[Tensor | None] = [None] * len(self._weights)
        parts = slope.split(self._sizes)  # type: ignore[no-untyped-call]
        with self._states.put_back_after(), set_apart(self._shares) as tables:
            for place in reversed(range(len(self._batches))):
                self._states.put_back(place)
                self._add(totals, place, parts[place], tables)
        return totals

    def _add(
        self, totals: list[Tensor | None], place: int, slope: Float[Tensor, "row dim"], tables: Sequence[Tensor]
    ) -> None:
        """Add the gradients by one pass; those of the tables find their way by themselves."""
        with torch.enable_grad():
            vectors = self._run(self._batches[place])
        if not vectors.requires_grad:
            return
        found = torch.autograd.grad(vectors, [*self._weights, *tables], slope, allow_unused=True)
        for number, part in enumerate(found[: len(totals)]):
            total = totals[number]
            if total is not None and part is not None:
                total.add_(part)
            elif part is not None:
                totals[number] = part.clone()  # the same tensor may be the gradient of two weights


class _RandomStates:
    """Random states of the processor, and of an accelerator if there is one, in memory that is taken once."""

    def __init__(self, device: torch.device, count: int) -> None:
        self._device = device
        self._states = [torch.empty(count, len(state), dtype=state.dtype) for state in self._get()]

    def keep(self, place: int) -> None:
        """Remember the states of now."""
        for states, state in zip(self._states, self._get(), strict=True):
            states[place] = state

    def put_back(self, place: int) -> None:
        """Make them the states again."""
        # As tensors of their own: of a part of a larger one, PyTorch's setter for the processor crashes.
        self._set([states[place].clone() for states in self._states])

    @contextmanager
    def put_back_after(self) -> Iterator[None]:
        """Whatever happens inside, the states are those of before."""
        before = self._get()
        try:
            yield
        finally:
            self._set(before)

    @property
    def _others(self) -> list[tuple[Any, tuple[torch.device, ...]]]:
        """Where the accelerator keeps its state, and how to name the device there: MPS has one and no names."""
        if self._device.type in ("cpu", "meta"):
            return []
        return [(torch.get_device_module(self._device), () if self._device.type == "mps" else (self._device,))]

    def _get(self) -> list[Tensor]:
        return [torch.get_rng_state(), *(module.get_rng_state(*name) for module, name in self._others)]

    def _set(self, states: Sequence[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for (module, name), state in zip(self._others, states[1:], strict=True):
            module.set_rng_state(state, *name)
