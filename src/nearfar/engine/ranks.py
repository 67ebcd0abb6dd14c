"""Several processes on one step: each embeds its share of the texts, all of them compare all vectors.

A step belongs to all ranks. Each of them knows the whole batch and its relation, embeds some of the distinct texts, and
receives the vectors of the others. Every rank then computes the same objective on the same vectors, so that masks,
queues, tables and batch statistics are those of one process, the loss is the mean over all anchors on every rank, and
shares of unequal size are nothing special.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Ranks:
    """The processes that share a step.

    Attributes:
        rank: the place of this process, from 0.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def current(cls) -> "Ranks":
        """Those of the process group that this process has joined; itself alone without one."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def sizes(self, texts: int) -> list[int]:
        """How many of so many texts each rank embeds, when they are dealt out one by one."""
        return [len(range(rank, texts, self.world)) for rank in range(self.world)]

    def gather(self, vectors: Float[Tensor, "own dim"], texts: int) -> Float[Tensor, "text dim"]:
        """The vectors of all ranks, those of rank 0 first, with exact gradients.

        The gradient of this rank's own vectors is multiplied by the number of ranks, since a data-parallel wrapper
        takes the mean over ranks of what is the sum of their shares.

        Args:
            vectors: of this rank's share.
            texts: how many there are in all.
        """
        if self.world == 1:
            return vectors
        gathered: Tensor = _Gather.apply(vectors, tuple(self.sizes(texts)), self.rank)  # type: ignore[no-untyped-call]
        return gathered

    def add_up(self, *tensors: Tensor) -> None:
        """Replace tensors by their sums over all ranks."""
        if self.world > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)


class _Gather(torch.autograd.Function):
    """Vectors of unequal shares, one share after the other."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, sizes: tuple[int, ...], rank: int) -> Tensor:
        ctx.sizes, ctx.rank = sizes, rank
        padded = vectors.new_zeros(max(sizes), vectors.shape[1])
        padded[: len(vectors)] = vectors
        received = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(received, padded)
        return torch.cat([share[:size] for share, size in zip(received, sizes, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        start = sum(ctx.sizes[: ctx.rank])
        return slope[start : start + ctx.sizes[ctx.rank]] * len(ctx.sizes), None, None
