"""Exact dense search: the best documents of each query by inner product, with a tie rule that does not depend on luck.

Two passes. The first multiplies blocks, in bfloat16 where the processor is fast at that, and proves which pairs cannot
be among the best (``screen``). The second scores what is left, pair by pair in float32, in an order that nothing but
the width of the vectors decides. So neither precision, block sizes, threads nor shards change a bit of the result.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import local
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from torch import Tensor

from nearfar.errors import ConfigError, DataError, ShapeError, did_you_mean
from nearfar.events import Message, Silent, Sink, track
from nearfar.retrieval.best import Best
from nearfar.retrieval.ranking import check_depth, check_exclude, tie_ranks
from nearfar.retrieval.screen import Screen, score
from nearfar.retrieval.vectors import STRIP, Block, Run
from nearfar.types import Hits

SIMILARITIES = ("cosine", "dot")
PRECISIONS = ("auto", "float32", "reduced")

_REPEATED = (
    "Search: in {} of {} blocks scores lie too close together for bfloat16; they were multiplied again in float32. "
    "The result is the same; precision='float32' may be faster for these vectors."
)

_LARGEST = 1e38
"""Above this a number may become infinite when it is rounded to bfloat16."""


def search(
    queries: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "document document_dim"],
    k: int,
    *,
    similarity: str = "cosine",
    tie_order: Int[np.ndarray, " ordered"] | None = None,
    exclude: Int[np.ndarray, " excluded"] | None = None,
    above: Float32[np.ndarray, " limited"] | None = None,
    precision: str = "auto",
    device: torch.device | str = "cpu",
    query_block: int = 512,
    document_block: int = 32_768,
    sink: Sink | None = None,
) -> Hits:
    """The ``k`` nearest documents of each query, ordered by (descending score, ascending tie rank).

    Documents are read once, block after block, so a memory-mapped file larger than memory will do. Beside the result,
    memory holds one block of documents, one of queries and their product (about 0.2 GB at the default sizes). The
    result is the same bytes for every precision, block size and number of threads.

    Args:
        queries: one vector a row.
        documents: one vector a row, of the same width; an ``np.memmap`` is welcome.
        k: how many documents to keep. With fewer documents the rest of a row is -1 with score -inf.
        similarity: ``cosine`` (a zero vector scores 0) or ``dot``.
        tie_order: place of each document among equals, lower first; the row number where it is not given or equal.
        exclude: a document row to leave out for each query, -1 for none: the query itself, when it is in the corpus.
        above: a score for each query. The hits then also say of how many documents the first pass made sure that they
            score above it. At least so many do; which number below the true one it is depends on how products were
            computed, as nothing else does.
        precision: of the first pass: ``float32``, ``reduced`` (bfloat16) or ``auto``, reduced where that is fast.
            Where scores lie so close together that bfloat16 leaves too many pairs to score, a block is multiplied again
            in float32; a message says how many.
        device: where the products are computed.
        query_block: queries of one product.
        document_block: documents of one product.
        sink: hears how many of the documents are done.

    Raises:
        ShapeError: queries and documents differ in width, or ``exclude``, ``above`` or ``tie_order`` in length.
        DataError: a vector holds NaN or infinity, or a dot product could leave float32.
        ConfigError: ``k``, a block size, ``similarity`` or ``precision`` is not possible.
    """
    _check(queries, documents, similarity, precision, query_block, document_block)
    check_depth(k)
    check_exclude(exclude, len(queries), len(documents))
    if above is not None and len(above) != len(queries):
        raise ShapeError(f"above must have one score for each of the {len(queries)} queries, it has {len(above)}.")
    surely = np.zeros(len(queries), dtype=np.int64)
    best = Best(len(queries), k, tie_ranks(tie_order, len(documents)))
    starts = range(0, len(documents), document_block)
    passes = _Passes(precision, torch.device(device), min(query_block, len(queries)) * (document_block + STRIP))
    blocks = range(0, len(queries), query_block)

    def search_block(first: int) -> bool:
        with torch.inference_mode():
            query = Block(queries[first : first + query_block], first, "query", similarity)
            _check_range(query, block, similarity)
            stop = first + len(query.vectors)
            excluded = None if exclude is None else _columns(exclude[first:stop], block.first)
            screen, repeated = passes.screen(query, block, k, best.floor(first, stop), excluded)
            if above is not None:
                surely[first:stop] += screen.surely_above(above[first:stop])
            for rows, columns in screen.pairs():
                best.offer(rows + first, columns + block.first, score(query.vectors, block.vectors, rows, columns))
            return repeated

    repeated = 0
    with conditions(), workers(len(blocks), passes.device) as run:
        for start in track(starts, "search", sink or Silent(), len(documents), document_block):
            block = Block(documents[start : start + document_block], start, "document", similarity, run)
            passes.prepare(block, run)
            repeated += sum(run(search_block, blocks))
    if repeated and sink is not None:
        sink.emit(Message(text=_REPEATED.format(repeated, len(starts) * len(blocks))))
    return replace(best.hits(), above=None if above is None else surely)


class _Passes:
    """First passes of one search, in one precision or both."""

    def __init__(self, precision: str, device: torch.device, elements: int) -> None:
        """``elements`` is the size of the largest product."""
        self.device = device
        self._reduced = precision == "reduced" or (precision == "auto" and _is_reduced_fast(device))
        self._elements = elements
        self._memory = local()

    def prepare(self, block: Block, run: Run) -> None:
        """Make what the first pass multiplies of a block of documents, with all workers."""
        block.side(torch.bfloat16 if self._reduced else torch.float32, self.device, run)

    def screen(
        self,
        query: Block,
        block: Block,
        k: int,
        floor: Float32[np.ndarray, " query"],
        excluded: Int64[np.ndarray, " query"] | None,
    ) -> tuple[Screen, bool]:
        """The pairs of two blocks that may be among the best, and whether bfloat16 was tried and not enough."""

        def multiply(dtype: torch.dtype) -> Screen:
            sides = query.side(dtype, self.device), block.side(dtype, self.device)
            return Screen(*sides, k, floor, excluded, self._buffer(dtype))

        fits = max(query.longest, block.longest, query.longest * block.longest) < _LARGEST
        if not self._reduced or not fits:
            return multiply(torch.float32), False
        screen = multiply(torch.bfloat16)
        return (multiply(torch.float32), True) if screen.crowded else (screen, False)

    def _buffer(self, dtype: torch.dtype) -> Tensor:
        """Memory for products, one for each thread."""
        name = str(dtype)
        if not hasattr(self._memory, name):
            setattr(self._memory, name, torch.empty(self._elements, dtype=dtype, device=self.device))
        buffer: Tensor = getattr(self._memory, name)
        return buffer


def _is_reduced_fast(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def conditions() -> Iterator[None]:
    """What scoring needs: products that round nothing but their input. A user may have allowed TF32, or bfloat16 sums.

    The bound on the error of the first pass holds for float32 sums only.
    """
    kinds: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    before = [kind.fp32_precision for kind in kinds]
    sums = torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        try:
            for kind in kinds:
                kind.fp32_precision = "ieee"
            torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
            yield
        finally:
            for kind, value in zip(kinds, before, strict=True):
                kind.fp32_precision = value
            torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = sums


@contextmanager
def workers(blocks: int, device: torch.device) -> Iterator[Callable[..., Iterable[bool]]]:
    """A ``map`` that works on as many blocks at once as torch has threads, each then on one thread.

    That keeps all processors busy also in the parts that torch does on one. Which thread does what changes nothing.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or min(threads, blocks) < 2:
        yield map
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(min(threads, blocks), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)


def _columns(excluded: Int[np.ndarray, " query"], start: int) -> Int64[np.ndarray, " query"]:
    """Document rows as columns of a block; -1 stays outside of every block."""
    rows = excluded.astype(np.int64)
    return np.where(rows >= 0, rows - start, -1)


def _check(
    queries: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "document document_dim"],
    similarity: str,
    precision: str,
    query_block: int,
    document_block: int,
) -> None:
    """Refuse what cannot be searched."""
    if similarity not in SIMILARITIES:
        raise ConfigError(
            f"similarity must be one of {', '.join(SIMILARITIES)}, got {similarity!r}."
            + did_you_mean(similarity, SIMILARITIES)
        )
    if precision not in PRECISIONS:
        raise ConfigError(
            f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}."
            + did_you_mean(precision, PRECISIONS)
        )
    if query_block < 1 or document_block < 1:
        raise ConfigError(f"query_block and document_block must be at least 1, got {query_block} and {document_block}.")
    if queries.shape[1] != documents.shape[1] or queries.shape[1] == 0:
        raise ShapeError(
            f"Queries and documents must have the same width, at least 1: queries are {queries.shape}, documents "
            f"{documents.shape}. Encode both with the same model and the same truncation."
        )


def _check_range(query: Block, block: Block, similarity: str) -> None:
    """Refuse dot products that float32 may not hold: infinite scores have no order."""
    bound = query.longest * block.longest
    if similarity == "dot" and bound > torch.finfo(torch.float32).max:
        raise DataError(
            f"Dot products may exceed float32: lengths of the blocks from query row {query.first} and document row "
            f"{block.first} multiply to {bound:.3g}. Scale the vectors down or use similarity='cosine'."
        )
