"""Search as tasks: a block of queries in a piece of the corpus, or in an index of all of it.

Vectors are read from files, so processes on other machines need a disk that all share. Exact search gives the same bits
however the corpus is cut and whatever the number of threads.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from nearfar.encoders.protocol import Similarity
from nearfar.errors import DataError, ResourceError
from nearfar.events import Silent, Sink
from nearfar.negatives.shards import alone
from nearfar.retrieval.approximate import Index
from nearfar.retrieval.dense import search
from nearfar.retrieval.kinds import parse_index
from nearfar.types import Hits

HIT = np.dtype([("document", "<i4"), ("score", "<f4")])
"""What a file keeps of a hit."""

_HITS, _ABOVE = "hits", "above"
"""What a file keeps of a query whose documents above a limit were counted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Search:
    """Search for a block of queries in some documents: exact, or by an index of just these.

    Attributes:
        queries, documents: files of vectors.
        asked: the queries, ascending.
        rows: the documents, ascending.
        tie_order: the place of each of them among equals.
        depth: how many are wanted.
        similarity: how vectors are compared.
        device: where products are computed.
        index: the folder of a FAISS index; None for exact search.
        above: for exact search, the score above which documents of each query are counted too.
    """

    queries: Path
    documents: Path
    asked: Int64[np.ndarray, " asked"]
    rows: Int64[np.ndarray, " row"]
    tie_order: Int64[np.ndarray, " row"]
    depth: int
    similarity: Similarity
    device: str = "cpu"
    index: Path | None = None
    above: Float32[np.ndarray, " asked"] | None = None

    def part(self, asked: slice, rows: slice) -> "Search":
        """The same for some of the queries, in some of the documents."""
        return replace(
            self,
            asked=self.asked[asked],
            rows=self.rows[rows],
            tie_order=self.tie_order[rows],
            above=None if self.above is None else self.above[asked],
        )

    def run(self, sink: Sink = Silent()) -> np.ndarray:
        """The best of the documents for each query as ``packed`` has them, documents as places in ``rows``."""
        queries = rows_of(read(self.queries), self.asked)
        documents = rows_of(read(self.documents), self.rows)
        if self.index is not None:
            found = Index.load(self.index, documents)
            return packed(found.search(queries, self.depth, tie_order=self.tie_order, sink=sink))
        hits = search(
            queries,
            documents,
            min(self.depth, len(self.rows)),
            similarity=self.similarity,
            tie_order=self.tie_order,
            above=self.above,
            device=self.device,
            sink=sink,
        )
        return packed(hits)


def index_of(
    folder: Path, kind: str, documents: Float32[np.ndarray, "document dim"], similarity: Similarity, sink: Sink
) -> Index:
    """The index of some documents: the one that is kept, else it is built and kept.

    Args:
        folder: where it is kept.
        kind: its text form, such as ``HNSW(links=32)``.
        documents: the vectors.
        similarity: how they are compared.
        sink: takes progress.

    Raises:
        ConfigError: when there is no such kind, or FAISS is not installed.
    """
    parsed = parse_index(kind)
    with alone(folder.parent / f"{folder.name}-lock", sink):
        if folder.is_dir():
            with suppress(DataError):  # damaged
                return Index.load(folder, documents)
        index = Index(parsed, documents, similarity=similarity, sink=sink)
        index.save(folder)
        return index


def packed(hits: Hits) -> np.ndarray:
    """Hits as one array: of ``HIT`` by query and rank, or of a query's ``HIT`` together with a count."""
    array = np.empty(hits.documents.shape, dtype=HIT)
    array["document"], array["score"] = hits.documents, hits.scores
    if hits.above is None:
        return array
    both = np.empty(len(hits), dtype=[(_HITS, HIT, (hits.depth,)), (_ABOVE, "<i8")])
    both[_HITS], both[_ABOVE] = array, hits.above
    return both


def unpacked(array: np.ndarray) -> Hits:
    """Hits from one array."""
    counted = array.dtype != HIT
    hits, above = (array[_HITS], array[_ABOVE].astype(np.int64)) if counted else (array, None)
    return Hits(hits["document"].astype(np.int32), hits["score"].astype(np.float32), above)


def blocks(count: int, size: int) -> Iterator[tuple[int, int]]:
    """First and last of each block of so many."""
    for first in range(0, count, size):
        yield first, min(first + size, count)


def read(path: Path) -> Float32[np.ndarray, "row dim"]:
    """Vectors, left on disk.

    Raises:
        ResourceError: when they are not there, as on a machine that does not share the disk.
    """
    try:
        vectors: Float32[np.ndarray, "row dim"] = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ResourceError(
            f"A worker cannot read {path} ({error}). Several machines need a folder on a disk that all of them share."
        ) from error
    return vectors


def rows_of(
    vectors: Float32[np.ndarray, "row dim"], rows: Int64[np.ndarray, " wanted"]
) -> Float32[np.ndarray, "wanted dim"]:
    """Some rows, without a copy where they follow one another."""
    together = len(rows) > 0 and int(rows[-1]) - int(rows[0]) == len(rows) - 1
    taken: Float32[np.ndarray, "wanted dim"] = vectors[int(rows[0]) : int(rows[-1]) + 1] if together else vectors[rows]
    return taken
