"""The queue: candidates of earlier calls as further negatives."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nearfar.config.component import is_whole, require
from nearfar.objectives.candidates.keys import keys
from nearfar.objectives.memory import Memory, Remembering
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
    in while the module is in evaluation mode. Mixtures never enter it.

    With identities no relevant text becomes a negative: left out is a text in the queue that is among the candidates of
    the call or is the text of the row, and every text that ``Relation.known`` says belongs to the row. Without
    ``known``, a further relevant text that is in the queue alone is taken for a negative: the call says nothing of it.
    Without identities nothing can be told apart. Since a fresh vector stands for its own copies, it would make no
    difference to put candidates in before they are compared, except that some of the oldest would be gone.

    Attributes:
        size: how many candidates it holds. Those that are not there yet are left out.
        filled_with: ``candidates`` puts in their vectors as they were compared, ``guide`` those of another encoder of
            the same width, such as a moving average of this one.
        warm_up: calls in training mode before anything is compared with it; it fills meanwhile.
    """

    size: int = 1024
    filled_with: Literal["candidates", "guide"] = "candidates"
    warm_up: int = 0
    sized: ClassVar[bool] = True
    shares_space: ClassVar[bool] = True
    detached: ClassVar[tuple[str, ...]] = ("columns of the queue",)

    def __post_init__(self) -> None:
        whole = is_whole(self.size) and self.size > 0
        require(whole, self, "size", "a whole number above 0")
        require(self.filled_with in ("candidates", "guide"), self, "filled_with", "candidates or guide")
        require(is_whole(self.warm_up) and self.warm_up >= 0, self, "warm_up", "a whole number of at least 0")

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # it depends on a field
        """The keyword inputs that it cannot do without."""
        return frozenset({"guide_candidates"} if self.filled_with == "guide" else ())

    def make_memory(self, dim: int) -> nn.Module:
        """The candidates of earlier calls."""
        return EarlierCandidates(self.size, dim)

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with the queue as columns."""
        earlier = memory.of(EarlierCandidates)
        longer = problem
        if not self.warm_up or int(earlier.calls) >= self.warm_up:
            vectors = earlier.vectors.to(problem.candidates.dtype)
            # ``append`` copies: what is put in below does not change the problem.
            longer = append(problem, vectors, self._valid(problem, earlier), Origin.QUEUE, ids=earlier.ids)
        real = (problem.origins != Origin.MIXED) & (problem.origins != Origin.QUEUE)
        put = problem.candidates if self.filled_with == "candidates" else keys(problem, self)
        earlier.put(put[real], None if problem.column_ids is None else problem.column_ids[real])
        return longer

    def _valid(self, problem: Problem, earlier: "EarlierCandidates") -> Bool[Tensor, "row slot"]:
        """Which rows may have which entries of the queue as negatives."""
        ids = earlier.ids
        valid = earlier.filled.expand(len(problem.anchors), -1)
        if problem.column_ids is not None:
            fresh = torch.isin(ids, problem.column_ids)
            valid = valid & ~(fresh & (ids != _NOBODY))
        if problem.row_ids is not None:
            valid = valid & (problem.row_ids[:, None] != ids[None, :])
            if problem.known is not None:
                valid = valid & ~problem.known.between(problem.row_ids, ids)
        return valid


class EarlierCandidates(Remembering):
    """What a ``Queue`` remembers.

    Attributes:
        vectors: a candidate for each place.
        ids: its identity.
        filled: whether there is one.
        place: where the next one goes.
        calls: how often something was put in.
    """

    vectors: Float[Tensor, "slot dim"]
    ids: Int[Tensor, " slot"]
    filled: Bool[Tensor, " slot"]
    place: Int[Tensor, ""]
    calls: Int[Tensor, ""]

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, dim))
        self.register_buffer("ids", torch.full((size,), _NOBODY))
        self.register_buffer("filled", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def put(self, vectors: Float[Tensor, "text dim"], ids: Int[Tensor, " text"] | None) -> None:
        """Put candidates in, the last of them where there are more than places."""
        if not self.training:
            return
        if self._held is not None:  # all tiles have the same candidates
            self._held[:] = [(vectors.detach(), ids)]
            return
        vectors = vectors.detach()[-len(self.vectors) :].to(self.vectors.dtype)
        ids = self.ids.new_full((len(vectors),), _NOBODY) if ids is None else ids[-len(self.vectors) :]
        places = (self.place + torch.arange(len(vectors), device=self.place.device)) % len(self.vectors)
        with torch.no_grad():
            self.vectors[places] = vectors
            self.ids[places] = ids
            self.filled[places] = True
            self.place = (self.place + len(vectors)) % len(self.vectors)
            self.calls = self.calls + 1

    def write_held(self, held: list[Any]) -> None:
        """Put in the candidates of the step."""
        self.put(*held[0])
