"""Blocks of vectors: as they are scored, and as the first pass of a search multiplies them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from nearfar.errors import DataError, first_few

STRIP = 16
"""Documents whose largest product is looked at first: one comparison instead of so many."""

_AT_ONCE = 1024
"""Rows that are prepared together."""

Run = Callable[[Callable[[slice], bool], Iterable[slice]], Iterable[bool]]
"""As ``map``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Side:
    """Vectors of a block as the first pass multiplies them.

    Attributes:
        values: on the device, in the type of the pass, with rows of zeros up to a multiple of a strip.
        lengths: an upper bound on each vector's length.
        residual: how much length the rounding took from each vector.
    """

    values: Float[Tensor, "padded dim"]
    lengths: Float64[np.ndarray, " row"]
    residual: Float64[np.ndarray, " row"]

    @classmethod
    def of(
        cls,
        vectors: Float32[np.ndarray, "row dim"],
        lengths: Float64[np.ndarray, " row"],
        dtype: torch.dtype,
        device: torch.device,
        run: Run = map,
    ) -> "Side":
        """The vectors in ``dtype`` on ``device``; ``run`` as for a block."""
        rounded = torch.zeros(len(vectors) + -len(vectors) % STRIP, vectors.shape[1], dtype=dtype)
        residual = np.zeros(len(vectors))

        def fill(rows: slice) -> bool:
            there = rounded[: len(vectors)][rows]
            there.copy_(torch.from_numpy(vectors[rows]))
            if dtype != torch.float32:
                lost = vectors[rows] - there.float().numpy()
                residual[rows] = 1.001 * np.sqrt(np.einsum("ij,ij->i", lost, lost))
            return True

        all(run(fill, _parts(len(vectors))))
        return cls(values=rounded.to(device), lengths=lengths, residual=residual)

    def __len__(self) -> int:
        return len(self.lengths)


class Block:
    """Vectors of some rows as they are scored: of unit length under cosine.

    Attributes:
        vectors: a copy of the rows.
        lengths: an upper bound on the length of each.
        first: the first row.
    """

    def __init__(
        self, rows: Float32[np.ndarray, "row dim"], first: int, side: str, similarity: str, run: Run = map
    ) -> None:
        """Copy the rows, and check them.

        Args:
            rows: a part of a table, which may be mapped from a file.
            first: where it starts.
            side: what the table is called in an error.
            similarity: ``cosine`` or ``dot``.
            run: works on parts of the rows, several at once if it can; as ``map``.

        Raises:
            DataError: a vector holds NaN or infinity.
        """
        self.first = first
        self.vectors = np.empty(rows.shape, dtype=np.float32)
        self.lengths: Float64[np.ndarray, " row"] = np.empty(len(rows))
        finite = np.empty(len(rows), dtype=bool)

        def fill(part: slice) -> bool:
            self.vectors[part] = rows[part]
            finite[part], self.lengths[part] = _prepared(self.vectors[part], similarity)
            return True

        all(run(fill, _parts(len(rows))))
        if not finite.all():
            bad = (first + np.flatnonzero(~finite)).tolist()
            raise DataError(
                f"The vectors of {side} rows {first_few(bad)} hold NaN or infinity. "
                "Encode them again, in float32, and look at their texts if it happens again."
            )
        self._sides: dict[torch.dtype, Side] = {}
        self._making = Lock()

    def side(self, dtype: torch.dtype, device: torch.device, run: Run = map) -> Side:
        """The block as the first pass takes it, made once."""
        with self._making:
            if dtype not in self._sides:
                self._sides[dtype] = Side.of(self.vectors, self.lengths, dtype, device, run)
            return self._sides[dtype]

    @property
    def longest(self) -> float:
        """A bound on the length of the longest vector."""
        return float(self.lengths.max(initial=0))


def _prepared(
    vectors: Float32[np.ndarray, "row dim"], similarity: str
) -> tuple[Bool[np.ndarray, " row"], Float64[np.ndarray, " row"]]:
    """Which vectors are finite, and a bound on the length of each; under cosine they are divided by it in place.

    Each is divided by its largest entry before its length is taken, so that squares neither overflow nor vanish.
    """
    magnitude = np.maximum(vectors.max(axis=1), -vectors.min(axis=1))
    finite = np.isfinite(magnitude)
    if not finite.all():
        return finite, np.zeros(len(vectors))
    if similarity != "cosine":
        return finite, 1.001 * np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64, casting="safe"))
    vectors /= np.where(magnitude > 0, magnitude, np.float32(1))[:, None]
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    vectors /= np.where(length > 0, length, np.float32(1))[:, None]
    return finite, np.full(len(vectors), 1.001)


def _parts(rows: int) -> list[slice]:
    """Parts small enough to stay in the cache between passes over them."""
    return [slice(start, start + _AT_ONCE) for start in range(0, rows, _AT_ONCE)]
