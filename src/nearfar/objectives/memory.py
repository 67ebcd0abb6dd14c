"""What an objective remembers and trains: modules, so that all of it is in every checkpoint.

A part is a frozen value; it makes its module once and finds it again at every call through a ``Memory``.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nearfar.errors import ShapeError

_MOST_EXAMPLES = 2**31
"""A higher index is no place in a dataset."""

Kind = TypeVar("Kind", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Memory:
    """The modules of an objective, seen from one of its parts."""

    modules: Mapping[str, nn.Module]
    path: str = ""

    def at(self, *steps: object) -> "Memory":
        """The memory of a part of this part."""
        return Memory(self.modules, "_".join([*filter(None, [self.path]), *map(str, steps)]))

    def of(self, kind: type[Kind]) -> Kind:
        """The module of this part."""
        module = self.modules[self.path]
        assert isinstance(module, kind)
        return module


class Remembering(nn.Module):
    """A memory that can take several calls for one: what they write is kept back until all of them are done.

    An objective that is computed in tiles calls its parts once for each tile. Held, a memory shows every tile what was
    there before the step, and writes once, at the end.
    """

    _held: list[Any] | None = None

    def write_held(self, held: list[Any]) -> None:
        """Write what was kept back, as one call would have written it."""
        raise NotImplementedError


@contextmanager
def as_one_call(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, every memory takes all calls for one. After an error nothing is written."""
    held = [module for module in modules if isinstance(module, Remembering)]
    for module in held:
        module._held = []
    try:
        yield
        written = [(module, module._held or []) for module in held]
    finally:
        for module in held:
            module._held = None
    for module, values in written:
        if values:
            module.write_held(values)


@contextmanager
def looking_only(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside ``as_one_call``, a part of it that writes nothing, not even later."""
    before = [(module, list(module._held or [])) for module in modules if isinstance(module, Remembering)]
    try:
        yield
    finally:
        for module, values in before:
            module._held = values


class Table(Remembering):
    """Some numbers for every example of the dataset, found by its index. Grows when a higher index comes.

    Averages run in float32 (float64 after ``.double()``). An index of -1 stands for no example: it reads the initial
    values and remembers nothing. While the module is in evaluation mode nothing is written.

    Args:
        initial: the values of an example that was never seen.

    Attributes:
        values: a row for each example.
        visits: how often each example was written.
    """

    values: Float[Tensor, "example value"]
    visits: Int[Tensor, " example"]

    def __init__(self, *initial: float) -> None:
        super().__init__()
        self.initial = initial
        self.register_buffer("values", torch.empty(0, len(initial)))
        self.register_buffer("visits", torch.zeros(0, dtype=torch.int64))

    def reserve(self, examples: int) -> None:
        """Make room for examples, so that the table need not grow."""
        missing = examples - len(self.values)
        if examples > _MOST_EXAMPLES:
            raise ShapeError(
                f"An index counts the examples of a dataset from 0; {examples - 1} is too high for one. Number the "
                "examples 0, 1, 2 and so on, and pass these numbers instead of keys or hashes."
            )
        if missing > 0:
            more = self.values.new_tensor(self.initial).expand(missing, -1)
            self.values = torch.cat([self.values, more])
            self.visits = torch.cat([self.visits, self.visits.new_zeros(missing)])

    def read(self, index: Int[Tensor, " row"]) -> tuple[Float[Tensor, "row value"], Int[Tensor, " row"]]:
        """The values of some examples and how often each was written."""
        known = (index >= 0) & (index < len(self.values))
        values = self.values.new_tensor(self.initial).repeat(len(index), 1)
        visits = self.visits.new_zeros(len(index))
        if len(self.values):
            place = torch.where(known, index, 0)
            values = torch.where(known[:, None], self.values[place], values)
            visits = torch.where(known, self.visits[place], 0)
        return values, visits

    def write(self, index: Int[Tensor, " row"], values: Float[Tensor, "row value"]) -> None:
        """Remember values. An example that is there more than once takes their mean, whatever the order."""
        index, values = index[index >= 0], values.detach()[index >= 0].to(self.values.dtype)
        if not self.training or not len(index):
            return
        if self._held is not None:
            self._held.append((index, values))
            return
        top = int(index.max()) + 1
        if top > len(self.values):
            self.reserve(max(top, 2 * len(self.values)))
        distinct, place = torch.unique(index, return_inverse=True)
        sums = values.new_zeros(len(distinct), values.shape[1]).index_add_(0, place, values)
        with torch.no_grad():  # in place: what was read before is a copy
            self.values[distinct] = sums / torch.bincount(place)[:, None]
            self.visits[distinct] += 1

    def write_held(self, held: list[Any]) -> None:
        """Write the values of all tiles."""
        self.write(torch.cat([index for index, _ in held]), torch.cat([values for _, values in held]))

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Take the size of the table from the checkpoint."""
        stored = state.get(f"{prefix}values")
        if stored is not None:
            self.values = self.values.new_empty(stored.shape)
            self.visits = self.visits.new_empty(stored.shape[:1])
        super()._load_from_state_dict(state, prefix, *rest)


def mean_of_each(index: Int[Tensor, " row"], values: Float[Tensor, "row value"]) -> Float[Tensor, "row value"]:
    """For each row the mean over the rows of its index; an index of -1 stands for no example and shares nothing."""
    distinct, place, counts = torch.unique(index, return_inverse=True, return_counts=True)
    sums = values.new_zeros(len(distinct), values.shape[1]).index_add_(0, place, values)
    return torch.where((index >= 0)[:, None], (sums / counts[:, None])[place], values)


class Draws(Remembering):
    """Randomness that a checkpoint keeps: a generator for each call, from a seed and the number of the call.

    In evaluation mode the number stands still, so that the same call gives the same draws.
    """

    calls: Int[Tensor, ""]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def generator(self) -> torch.Generator:
        """The generator of this call. It lives on the CPU: draw there and move what was drawn."""
        calls = int(self.calls)
        if self.training and self._held is not None:
            self._held.append(1)
        elif self.training:
            self.calls = self.calls + 1
        # Two numbers into one seed, so that neighbouring seeds share no calls.
        return torch.Generator().manual_seed((self.seed * 0x9E3779B97F4A7C15 + calls * 0xD1B54A32D192ED03) % 2**63)

    def write_held(self, held: list[Any]) -> None:
        """Count one call."""
        self.calls = self.calls + 1


class Clock(Remembering):
    """Counts the calls in training mode, for schedules."""

    ticks: Int[Tensor, ""]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ticks", torch.zeros((), dtype=torch.int64))

    def tick(self) -> int:
        """How many calls came before this one."""
        now = int(self.ticks)
        if self.training and self._held is not None:
            self._held.append(1)
        elif self.training:
            self.ticks = self.ticks + 1
        return now

    def write_held(self, held: list[Any]) -> None:
        """Count one call."""
        self.ticks = self.ticks + 1
