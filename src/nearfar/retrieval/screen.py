"""The first pass of exact dense search: a fast product, and a proof of which pairs of it could be among the best.

The product may be rounded (bfloat16) and added up in any order. For each query and document there is a bound on how far
it can be from the score that ``score`` gives, so every document whose product lies further than that below a score
which k documents are known to reach is out. What is left, a little more than k, is scored again.

The bound, with q' and d' the rounded vectors, u the rounding unit of float32 and n the width::

    |q'.d' - q.d| <= |q - q'| |d| + |q'| |d - d'|      measured lengths, Cauchy-Schwarz
    rounding of a sum of n products <= 2 n u |q'| |d'|    Higham 2002, 3.1, whatever the order; once for each pass
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64
from torch import Tensor

from nearfar.retrieval.vectors import STRIP, Side

_STRIPS_AT_ONCE = 1 << 17
"""Strips that are opened together."""


class Screen:
    """The product of a block of queries and one of documents, and the pairs of it that may be among the best k."""

    def __init__(
        self,
        queries: Side,
        documents: Side,
        k: int,
        floor: Float32[np.ndarray, " query"],
        excluded: Int64[np.ndarray, " query"] | None,
        memory: Float[Tensor, " element"],
    ) -> None:
        """Multiply, and find the strips that hold a pair which may be among the best.

        Args:
            queries: the block of queries.
            documents: the block of documents.
            k: how many documents each query keeps.
            floor: a score that k documents of earlier blocks are known to reach, -inf where there are fewer.
            excluded: the column to leave out for each query; outside the block for none.
            memory: where the product is written, at least as many elements as it has.
        """
        width = len(documents.values)
        self._product = memory[: len(queries) * width].view(len(queries), width)
        torch.matmul(queries.values[: len(queries)], documents.values.T, out=self._product)
        self._product[:, len(documents) :] = -torch.inf
        if excluded is not None:
            rows = np.flatnonzero((excluded >= 0) & (excluded < len(documents)))
            self._product[torch.from_numpy(rows), torch.from_numpy(excluded[rows])] = -torch.inf
        self._strip = _strip(width, k)
        self._largest = largest = _largest(self._product.view(len(queries), self._strip, -1))
        self._strips = largest.shape[1]
        self._error = error = _error(queries, documents, self._strip)
        self._many = len(queries) * (2 * k + self._strips // 16)
        hot = None if np.isneginf(floor).all() else self._reaching(floor)
        if self._strips >= k and (hot is None or np.count_nonzero(hot) > self._many):
            hot = self._reaching(np.maximum(floor, _own_floor(largest, error, k)))
        self._hot = np.flatnonzero(self._reaching(floor) if hot is None else hot)

    @property
    def crowded(self) -> bool:
        """Whether so many pairs are left that a product with a smaller error would be cheaper than scoring them."""
        return len(self._hot) > self._many

    def surely_above(self, limit: Float32[np.ndarray, " query"]) -> Int64[np.ndarray, " query"]:
        """How many strips of each query have a document that scores above a limit, whatever the product's error."""
        most = -_limit(-limit, self._error, self._largest.dtype)  # that a product below can come to
        reached = self._largest > torch.from_numpy(most).to(self._largest)
        counted: Int64[np.ndarray, " query"] = reached.sum(dim=1).cpu().numpy()
        return counted

    def _reaching(self, floor: Float32[np.ndarray, " query"]) -> Bool[np.ndarray, "query strip"]:
        """The strips that may hold a pair that reaches ``floor``, whose limit is kept.

        Integers are compared as in ``_largest``, where no limit is 0 or below.
        """
        limit = _limit(floor, self._error, self._largest.dtype)
        self._limit = torch.from_numpy(limit).to(self._largest)  # exact, see _limit
        if (limit > 0).all():
            return (_bits(self._largest) >= _bits(self._limit)).cpu().numpy()
        return (self._largest >= self._limit).cpu().numpy()

    def pairs(self) -> Iterator[tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]]:
        """Row and column of every pair that may be among the best, rows ascending, in parts of bounded size."""
        strips = self._product.view(len(self._product), self._strip, -1)
        for start in range(0, len(self._hot), _STRIPS_AT_ONCE):
            hot = torch.from_numpy(self._hot[start : start + _STRIPS_AT_ONCE]).to(strips.device)
            row, strip = hot // self._strips, hot % self._strips
            values = strips[row, :, strip]
            limit = self._limit.expand(-1, self._strips)[row, strip][:, None]
            kept = np.flatnonzero(((values >= limit) & (values > -torch.inf)).cpu().numpy())
            opened, place = np.divmod(kept, self._strip)
            rows, columns = np.divmod(self._hot[start + opened], self._strips)
            yield rows, columns + place * self._strips


def score(
    queries: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "document dim"],
    rows: Int64[np.ndarray, " pair"],
    columns: Int64[np.ndarray, " pair"],
) -> Float32[np.ndarray, " pair"]:
    """The inner product of each pair in float32, added up in an order that the width alone decides. Rows ascend."""
    ends = torch.from_numpy(np.searchsorted(rows, np.arange(len(queries) + 1)))
    pattern = torch.sparse_csr_tensor(
        ends,
        torch.from_numpy(columns),
        torch.zeros(len(columns)),
        size=(len(queries), len(documents)),
        check_invariants=False,
    )
    left, right = torch.from_numpy(queries), torch.from_numpy(documents)
    scores: Float32[np.ndarray, " pair"] = torch.sparse.sampled_addmm(pattern, left, right.T, beta=0.0).values().numpy()
    return scores


def _strip(width: int, k: int) -> int:
    """Documents in a strip: fewer where k is large, so that the k best are still spread over many strips."""
    strip = STRIP
    while strip > 1 and width // strip < 4 * k:
        strip //= 2
    return strip


def _largest(strips: Float[Tensor, "query inside strip"]) -> Float[Tensor, "query strip"]:
    """The largest product of each strip.

    Integers of the same bits are compared, which is four times as fast in bfloat16: they are ordered as the numbers are
    from 0 on, and the other way round below, where a strip without a number of at least 0 is looked at again.
    """
    bits = _bits(strips)
    largest = bits.amax(dim=1)
    if largest.numel() and largest.amin() < 0:
        query, strip = (largest < 0).nonzero(as_tuple=True)
        largest[query, strip] = bits[query, :, strip].amin(dim=1)
    return largest.view(strips.dtype)


def _bits(numbers: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Integers of the same bits."""
    return numbers.view(torch.int32 if numbers.dtype == torch.float32 else torch.int16)


def _error(queries: Side, documents: Side, strip: int) -> Float64[np.ndarray, "query strip"]:
    """How far a product can be from the score, for each query and strip; one column where lengths hardly differ."""
    dim = queries.values.shape[1]
    unit = 2.02 * dim * 2.0**-24
    share = float(np.max(documents.residual / np.maximum(documents.lengths, np.finfo(np.float64).tiny), initial=0))
    length, lost = queries.lengths, queries.residual
    slope = lost + (length + lost) * share + unit * ((length + lost) * (1 + share) + length)
    # Numbers below 2**-126 may count as zero, and so may squares of them in a residual.
    tiny = dim * (2.0**-124 if queries.values.dtype == torch.float32 else 2.0**-60)
    slope, offset = slope + tiny, tiny * (1 + length)
    longest = np.zeros(len(documents.values))
    longest[: len(documents)] = documents.lengths
    if len(documents) and documents.lengths.max() <= 1.05 * documents.lengths.min():
        longest = longest.max(keepdims=True)
    else:
        longest = longest.reshape(strip, -1).max(axis=0)
    error: Float64[np.ndarray, "query strip"] = slope[:, None] * longest + offset[:, None]
    return error


def _own_floor(
    largest: Float[Tensor, "query strip"], error: Float64[np.ndarray, "query some"], k: int
) -> Float32[np.ndarray, " query"]:
    """A score that k documents of this block reach: the k-th best of the strips' largest, less all errors."""
    if error.shape[1] == 1:
        lowest = _kth(largest, k).astype(np.float64) - error[:, 0]
    else:
        reached = largest.float().cpu().numpy() - error.astype(np.float32)
        reached.partition(reached.shape[1] - k, axis=1)
        lowest = reached[:, -k].astype(np.float64)
    # What the product was rounded by, and what these lines are.
    unit = (2.0**-7 if largest.dtype != torch.float32 else 0.0) + 2.0**-22
    with np.errstate(invalid="ignore"):  # -inf - -inf where there are fewer than k documents
        lowest = lowest - unit * (np.abs(lowest) + error.max(axis=1))
    own: Float32[np.ndarray, " query"] = np.where(np.isfinite(lowest), lowest, -np.inf).astype(np.float32)
    return own


def _kth(largest: Float[Tensor, "query strip"], k: int) -> Float32[np.ndarray, " query"]:
    """The k-th best of each query. Integers are compared as in ``_largest``, where it is not below 0."""
    bits = _bits(largest).cpu().numpy().copy()
    bits.partition(bits.shape[1] - k, axis=1)
    found = np.ascontiguousarray(bits[:, -k])
    if (found < 0).any():
        values = largest.float().cpu().numpy()
        return np.partition(values, values.shape[1] - k, axis=1)[:, -k]
    return torch.from_numpy(found).view(largest.dtype).float().numpy()


def _limit(
    floor: Float32[np.ndarray, " query"], error: Float64[np.ndarray, "query some"], dtype: torch.dtype
) -> Float32[np.ndarray, "query some"]:
    """The product from which a pair may reach ``floor``, rounded down to a number that the product can be."""
    with np.errstate(over="ignore"):  # -inf: everything reaches it
        limit: Float32[np.ndarray, "query some"] = np.nextafter(
            (floor[:, None] - error).astype(np.float32), np.float32(-np.inf)
        )
    if dtype == torch.float32:
        return limit
    bits = limit.view(np.int32)
    bits = np.where(bits < 0, bits + 0xFFFF, bits) & ~0xFFFF
    down: Float32[np.ndarray, "query some"] = bits.astype(np.int32).view(np.float32)
    return down
