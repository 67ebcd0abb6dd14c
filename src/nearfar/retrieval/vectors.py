"""Blocks of vectors: as they are scored, and as the first pass of a search multiplies them."""

from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from nearfar.errors import DataError, first_few

STRIP = 16
"""Documents whose largest product is looked at first: one comparison instead of so many."""


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
    ) -> "Side":
        """The vectors in ``dtype`` on ``device``."""
        rounded = torch.zeros(len(vectors) + -len(vectors) % STRIP, vectors.shape[1], dtype=dtype)
        rounded[: len(vectors)] = torch.from_numpy(vectors)
        residual = np.zeros(len(vectors))
        if dtype != torch.float32:
            for start in range(0, len(vectors), 1024):
                rows = slice(start, start + 1024)
                lost = vectors[rows] - rounded[: len(vectors)][rows].float().numpy()
                residual[rows] = 1.001 * np.sqrt(np.einsum("ij,ij->i", lost, lost))
        return cls(values=rounded.to(device), lengths=lengths, residual=residual)

    def __len__(self) -> int:
        return len(self.lengths)


class Block:
    """Vectors of some rows as they are scored: of unit length under cosine.

    Each vector is divided by its largest entry before its length is taken, so that squares neither overflow nor vanish.

    Attributes:
        vectors: a copy of the rows.
        lengths: an upper bound on the length of each.
        first: the first row.
    """

    def __init__(self, rows: Float32[np.ndarray, "row dim"], first: int, side: str, similarity: str) -> None:
        self.first = first
        self.vectors = np.array(rows, dtype=np.float32)
        entries = torch.from_numpy(self.vectors)
        magnitude = torch.maximum(entries.amax(dim=1), -entries.amin(dim=1)).numpy()  # twice as fast as NumPy
        finite = np.isfinite(magnitude)
        if not finite.all():
            bad = (first + np.flatnonzero(~finite)).tolist()
            raise DataError(
                f"The vectors of {side} rows {first_few(bad)} hold NaN or infinity. "
                "Encode them again, in float32, and look at their texts if it happens again."
            )
        self.lengths: Float64[np.ndarray, " row"]
        if similarity == "cosine":
            self.vectors /= np.where(magnitude > 0, magnitude, np.float32(1))[:, None]
            length = np.sqrt(np.einsum("ij,ij->i", self.vectors, self.vectors))
            self.vectors /= np.where(length > 0, length, np.float32(1))[:, None]
            self.lengths = np.full(len(rows), 1.001)
        else:
            self.lengths = 1.001 * np.sqrt(
                np.einsum("ij,ij->i", self.vectors, self.vectors, dtype=np.float64, casting="safe")
            )
        self._sides: dict[torch.dtype, Side] = {}
        self._making = Lock()

    def side(self, dtype: torch.dtype, device: torch.device) -> Side:
        """The block as the first pass takes it, made once."""
        with self._making:
            if dtype not in self._sides:
                self._sides[dtype] = Side.of(self.vectors, self.lengths, dtype, device)
            return self._sides[dtype]

    @property
    def longest(self) -> float:
        """A bound on the length of the longest vector."""
        return float(self.lengths.max(initial=0))
