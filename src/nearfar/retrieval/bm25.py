"""BM25, the lexical baseline: bm25s weighs the terms, a sparse product adds them up, the tie rule orders the sums."""

import logging
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Int, Int64
from scipy import sparse

from nearfar.data.tables import Texts
from nearfar.errors import ConfigError, DataError
from nearfar.events import Silent, Sink, track
from nearfar.retrieval.ranking import best_of, check_depth, check_exclude, tie_ranks
from nearfar.retrieval.tokens import Tokeniser
from nearfar.types import Hits

POSTINGS_AT_ONCE = 1 << 24
"""Postings that one block of queries may touch: 128 MiB of product."""


class BM25:
    """An inverted index over document texts, with the weights of Lucene's BM25 in it.

    The score of a document is the sum over the query's terms, repeated terms repeatedly, of
    ``log(1 + (N - df + .5) / (df + .5)) * tf / (tf + k1 * (1 - b + b * length / mean length))``.
    Robertson and Zaragoza 2009; the variant and its implementation: Lu, BM25S, 2024.
    """

    def __init__(
        self,
        documents: Sequence[str] | Texts,
        *,
        k1: float = 1.5,
        b: float = 0.75,
        tokenise: Callable[[str], list[str]] | None = None,
        sink: Sink | None = None,
    ) -> None:
        """Build the index.

        Args:
            documents: the texts, or a table of them; hits are numbered in their order.
            k1: how fast a repeated term stops counting more, at least 0.
            b: how much long documents are held back, 0 (not) to 1.
            tokenise: text to terms, for documents and queries; ``Tokeniser()`` where it is None.
            sink: hears how many documents have been read.

        Raises:
            DataError: there are no documents.
            ConfigError: ``k1`` or ``b`` is out of range.
        """
        if k1 < 0 or not 0 <= b <= 1:
            raise ConfigError(f"BM25 needs k1 of at least 0 and b between 0 and 1, got k1={k1} and b={b}.")
        if not len(documents):
            raise DataError("BM25 needs at least one document, it got none. Check the corpus file.")
        self.count = len(documents)
        self.tokenise: Callable[[str], list[str]] = tokenise if tokenise is not None else Tokeniser()
        self.vocabulary: dict[str, int] = {}
        terms: list[Sequence[int]] = [
            array("i", (self.vocabulary.setdefault(term, len(self.vocabulary)) for term in self.tokenise(text)))
            for text in track(_texts(documents), "bm25 index", sink or Silent(), self.count)
        ]
        self._weights = self._weigh(terms, k1, b)

    def search(
        self,
        queries: Sequence[str],
        k: int,
        sink: Sink | None = None,
        *,
        tie_order: Int[np.ndarray, " ordered"] | None = None,
        exclude: Int[np.ndarray, " excluded"] | None = None,
    ) -> Hits:
        """The ``k`` best documents of each query, by (descending score, ascending tie rank).

        A document without any term of the query is not a hit, so rows may end early (document -1, score -inf); that of
        a query without known terms is empty. Queries are taken in blocks that touch a bounded number of postings.

        Args:
            queries: the texts.
            k: how many documents to keep.
            sink: hears how many queries are done.
            tie_order: place of each document among equals, lower first; the row number where it is None or equal.
            exclude: a document row to leave out for each query, -1 for none.

        Raises:
            ConfigError: ``k`` is below 1.
            ShapeError: ``exclude`` or ``tie_order`` has the wrong length.
            DataError: ``exclude`` names a document that does not exist.
        """
        check_depth(k)
        check_exclude(exclude, len(queries), self.count)
        ranks = tie_ranks(tie_order, self.count)
        counts = self._count(queries)
        hits = Hits(
            np.full((len(queries), k), -1, dtype=np.int32), np.full((len(queries), k), -np.inf, dtype=np.float32)
        )
        for row, documents, scores in track(self._scores(counts), "bm25 search", sink or Silent(), len(queries)):
            if exclude is not None:
                keep = documents != exclude[row]
                documents, scores = documents[keep], scores[keep]
            documents, scores = best_of(documents, scores, k, ranks)
            hits.documents[row, : len(documents)] = documents
            hits.scores[row, : len(scores)] = scores
        return hits

    def _weigh(self, terms: list[Sequence[int]], k1: float, b: float) -> sparse.csr_matrix:
        """The weights, one row a term, one column a document."""
        if not self.vocabulary:
            return sparse.csr_matrix((0, self.count), dtype=np.float32)
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)
        index = bm25s.BM25(k1=k1, b=b, method="lucene")
        index.index((terms, self.vocabulary), create_empty_token=False, show_progress=False)
        # bm25s keeps documents x terms by column, which is terms x documents by row.
        starts = index.scores["indptr"]
        if starts[-1] <= np.iinfo(np.int32).max:
            starts = starts.astype(np.int32)
        return sparse.csr_matrix(
            (index.scores["data"], index.scores["indices"], starts), shape=(len(self.vocabulary), self.count)
        )

    def _count(self, queries: Sequence[str]) -> sparse.csr_matrix:
        """How often each query has each known term, one row a query."""
        terms, ends = array("i"), array("q", [0])
        for query in queries:
            terms.extend(self.vocabulary[term] for term in self.tokenise(query) if term in self.vocabulary)
            ends.append(len(terms))
        counts = sparse.csr_matrix(
            (np.ones(len(terms), dtype=np.float32), np.array(terms, dtype=np.int32), np.array(ends, dtype=np.int32)),
            shape=(len(queries), len(self.vocabulary)),
        )
        counts.sum_duplicates()
        return counts

    def _scores(self, counts: sparse.csr_matrix) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Row, documents and scores of each query, of documents that hold one of its terms."""
        touched = np.concatenate([[0], np.cumsum(np.diff(self._weights.indptr).astype(np.int64)[counts.indices])])
        ends: Int64[np.ndarray, " query_plus_one"] = touched[counts.indptr]
        start = 0
        while start < counts.shape[0]:
            stop = int(np.searchsorted(ends, ends[start] + POSTINGS_AT_ONCE, side="right")) - 1
            stop = max(start + 1, min(stop, counts.shape[0]))
            block = counts[start:stop] @ self._weights
            for row in range(stop - start):
                places = slice(block.indptr[row], block.indptr[row + 1])
                yield start + row, block.indices[places].astype(np.int32), block.data[places]
            start = stop


def _texts(documents: Sequence[str] | Texts) -> Iterable[str]:
    """The texts one by one, without a second copy of a table."""
    if isinstance(documents, Texts):
        return (str(text.as_py()) for text in documents.texts)
    return documents
