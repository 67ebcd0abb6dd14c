"""The queue: candidates of earlier calls as further negatives."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nearfar.config.component import is_whole, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Synthesis
from nearfar.objectives.problem import Problem
from nearfar.objectives.synthesis.columns import append
from nearfar.types import Origin

_NOBODY = torch.iinfo(torch.int64).min
"""Identity of a text that came without one."""


@dataclass(frozen=True, kw_only=True)
class Queue(Synthesis):
    """The last candidates of earlier calls as columns of origin ``QUEUE``: negatives of every row, without gradient.

    First in, first out; the candidates of a call are put in when it is over, as they are compared, and nothing is put
    in while the module is in evaluation mode. With identities, a text in the queue that is among the candidates of the
    call, or is the text of the row, is left out: the fresh vector stands for it, so that a positive of this call cannot
    come back as a negative. A further relevant text, which is in the queue alone, is not known here and is taken for a
    negative. Without identities nothing can be told apart.

    Attributes:
        size: how many candidates it holds. Those that are not there yet are left out.
    """

    size: int = 1024
    sized: ClassVar[bool] = True
    detached: ClassVar[tuple[str, ...]] = ("columns of the queue",)

    def __post_init__(self) -> None:
        whole = is_whole(self.size) and self.size > 0
        require(whole, self, "size", "a whole number above 0")

    def make_memory(self, dim: int) -> nn.Module:
        """The candidates of earlier calls."""
        return EarlierCandidates(self.size, dim)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the queue as columns."""
        earlier = memory.of(EarlierCandidates)
        vectors, ids = earlier.vectors.to(problem.candidates.dtype), earlier.ids
        valid = earlier.filled.expand(len(problem.anchors), -1)
        if problem.column_ids is not None:
            fresh = torch.isin(ids, problem.column_ids)
            valid = valid & ~(fresh & (ids != _NOBODY))
        if problem.row_ids is not None:
            valid = valid & (problem.row_ids[:, None] != ids[None, :])
        longer = append(problem, vectors, valid, Origin.QUEUE, ids=ids)  # a copy: what follows does not change it
        earlier.put(problem.candidates, problem.column_ids)
        return longer


class EarlierCandidates(nn.Module):
    """What a ``Queue`` remembers.

    Attributes:
        vectors: a candidate for each place.
        ids: its identity.
        filled: whether there is one.
        place: where the next one goes.
    """

    vectors: Float[Tensor, "slot dim"]
    ids: Int[Tensor, " slot"]
    filled: Bool[Tensor, " slot"]
    place: Int[Tensor, ""]

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, dim))
        self.register_buffer("ids", torch.full((size,), _NOBODY))
        self.register_buffer("filled", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    def put(self, vectors: Float[Tensor, "text dim"], ids: Int[Tensor, " text"] | None) -> None:
        """Put candidates in, the last of them where there are more than places."""
        if not self.training:
            return
        vectors = vectors.detach()[-len(self.vectors) :].to(self.vectors.dtype)
        ids = self.ids.new_full((len(vectors),), _NOBODY) if ids is None else ids[-len(self.vectors) :]
        places = (self.place + torch.arange(len(vectors), device=self.place.device)) % len(self.vectors)
        with torch.no_grad():
            self.vectors[places] = vectors
            self.ids[places] = ids
            self.filled[places] = True
            self.place = (self.place + len(vectors)) % len(self.vectors)
