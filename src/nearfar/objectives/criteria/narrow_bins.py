"""Very many single-precision numbers as a few hundred thousand: how many are in each narrow bin, and where in it."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor
from torch.nn.functional import pad

WIDTH = 2.0**-9
"""Of a bin. A power of two, so that dividing by it, and what is left of a number in its bin, are exact."""

MOST_BINS = 2**21
LARGEST = 2.0**14
"""Numbers from here on are not taken: single precision has to hold the number of a bin, and half of it."""

_PARTS = 2**16
_SHIFT = 40
_ROOM = 2**23 - 1
_PAGE = 2**13


class NarrowBins:
    """Counts and sums of places of bins of ``WIDTH``, which hold whatever number of numbers.

    A number is ``WIDTH * (bin + place)`` with a place in [0, 1), kept to 1 / 65536. Counts and places are whole
    numbers, so that sums of them are exact, come in any order, and can be taken back. One scattered addition does
    both: a number counts as 2 ** 40 and its place, as long as no bin has 2 ** 23 of them.

    For a function whose second derivative is at most the function itself, a sum with all numbers of a bin at their
    mean is wrong by at most ``WIDTH ** 2 / 8``, 4.8e-7 of it. That takes numbers at both ends of the bins and nowhere
    else; spread evenly, they make it wrong by a third of that.
    """

    def __init__(self) -> None:
        self.first = 0
        self._packed: Int64[Tensor, " bin"] = torch.zeros(0, dtype=torch.int64)
        self._apart: Int64[Tensor, "2 bin"] | None = None  # counts and places that did not fit into one number
        self._most = 0  # numbers of one bin in ``_packed``, at most

    def reach(self, lowest: float, highest: float) -> bool:
        """Make room for the numbers from ``lowest`` to ``highest``; False, and nothing done, where that is too much."""
        if not (-LARGEST < lowest <= highest < LARGEST):
            return False
        first, last = math.floor(lowest / WIDTH) // _PAGE * _PAGE, (math.floor(highest / WIDTH) // _PAGE + 1) * _PAGE
        held = len(self._packed)
        if held:
            first, last = min(first, self.first), max(last, self.first + held)
        if last - first > MOST_BINS:
            return False
        if last - first > held:
            more = (self.first - first, last - self.first - held) if held else (0, last - first)
            self._packed = pad(self._packed, more)
            self._apart = None if self._apart is None else pad(self._apart, more)
            self.first = first
        return True

    def add(self, numbers: Float32[Tensor, " number"]) -> None:
        """Put in numbers for which there is room."""
        for some in self._pieces(numbers):
            self._make_room(len(some))
            self._packed.scatter_add_(0, *self._find(some))

    def take_back(self, numbers: Float32[Tensor, " number"]) -> None:
        """Undo that these numbers were put in."""
        for some in self._pieces(numbers):
            bins, entries = self._find(some)
            if self._apart is None:
                self._packed.scatter_add_(0, bins, entries.neg_())
            else:
                self._apart.scatter_add_(1, bins.expand(2, -1), -_taken_apart(entries))

    def merge(self, other: "NarrowBins") -> None:
        """Put in what another one holds, for which there is room."""
        if not len(other._packed):
            return
        packed, start = other._packed, other.first - self.first
        self._to(packed.device)
        self._make_room(other._most)
        self._packed[start : start + len(packed)] += packed
        if other._apart is not None:
            self._separate()[:, start : start + len(packed)] += other._apart

    @property
    def ends(self) -> tuple[float, float] | None:
        """The lowest and the highest number that there is room for; None before there is any."""
        held = len(self._packed)
        return (WIDTH * self.first, WIDTH * (self.first + held - 0.5)) if held else None

    def points(self) -> tuple[Float64[Tensor, " point"], Float64[Tensor, " point"]]:
        """The mean of the numbers of each bin that has any, and how many they are."""
        found = _taken_apart(self._packed)
        counts, places = (found if self._apart is None else found + self._apart).cpu()
        taken = where(counts > 0)
        counts, places = counts[taken].double(), places[taken].double()
        return WIDTH * (taken + self.first + places / (_PARTS * counts)), counts

    def _find(self, numbers: Float32[Tensor, " number"]) -> tuple[Int64[Tensor, " number"], Int64[Tensor, " number"]]:
        """The bin of each number, from the first one, and what is to be added there."""
        scaled = numbers / WIDTH
        bins = scaled.floor()
        entries = scaled.sub_(bins).mul_(_PARTS).long()
        return bins.sub_(self.first).long(), entries.add_(2**_SHIFT)

    def _make_room(self, many: int) -> None:
        """Make sure that so many more numbers fit into one bin."""
        if self._most + many <= _ROOM:
            self._most += many
            return
        self._most = int(self._packed.max()) >> _SHIFT
        if self._most + many > _ROOM:
            self._separate().add_(_taken_apart(self._packed))
            self._packed.zero_()
            self._most = 0
        self._most += many

    def _separate(self) -> Int64[Tensor, "2 bin"]:
        """Counts and places apart."""
        if self._apart is None:
            self._apart = torch.zeros_like(self._packed).repeat(2, 1)
        return self._apart

    def _pieces(self, numbers: Float32[Tensor, " number"]) -> tuple[Tensor, ...]:
        self._to(numbers.device)
        return torch.split(numbers, at_once(numbers))

    def _to(self, device: torch.device) -> None:
        if self._packed.device != device:
            self._packed = self._packed.to(device)
            self._apart = None if self._apart is None else self._apart.to(device)


def _taken_apart(entries: Int64[Tensor, " entry"]) -> Int64[Tensor, "2 entry"]:
    """Counts and places of what was added up."""
    return torch.stack([entries >> _SHIFT, entries & (2**_SHIFT - 1)])


def where(mask: Bool[Tensor, " number"]) -> Int64[Tensor, " place"]:
    """The places where a mask holds. NumPy finds few among many in a tenth of the time that PyTorch takes."""
    if mask.device.type != "cpu":
        return mask.nonzero().squeeze(1)
    return torch.from_numpy(np.flatnonzero(mask.numpy()))


def at_once(numbers: Tensor) -> int:
    """So many numbers are worked on together: what stays in the cache of a processor, or fills another device."""
    return 2**16 if numbers.device.type == "cpu" else 2**22
