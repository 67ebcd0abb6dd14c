"""The documents that a system finds for the queries of a split: BM25, or any encoder with exact search."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Encoder
from nearfar.events import Silent, Sink
from nearfar.files import atomic
from nearfar.retrieval.bm25 import BM25
from nearfar.retrieval.dense import search
from nearfar.retrieval.tokens import Tokeniser
from nearfar.types import Hits


@dataclass(frozen=True, eq=False)
class Corpus:
    """The part of a dataset that is searched.

    Attributes:
        dataset: the tables.
        rows: the searched rows of the document table, ascending.
        tie_order: the place of each searched document when documents with equal scores are put in order: by their
            text keys, so that neither ids nor the order of a file decide.
    """

    dataset: Dataset
    rows: Int64[np.ndarray, " searched"]
    tie_order: Int64[np.ndarray, " searched"]

    @classmethod
    def of(cls, dataset: Dataset, rows: Int64[np.ndarray, " searched"] | None = None) -> "Corpus":
        """The whole corpus of a dataset, or the given rows of it."""
        chosen = np.flatnonzero(dataset.searched).astype(np.int64) if rows is None else np.sort(rows)
        keys = dataset.documents.keys[chosen]
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return cls(dataset, chosen, place)

    def texts(self) -> list[str]:
        """The searched texts."""
        return self.dataset.documents.take(self.rows)

    def own_text(self, queries: Sequence[int] | np.ndarray) -> Int64[np.ndarray, " query"]:
        """For each query, the place of the document to leave out of its hits, or -1.

        That is the document which is the query's own text, unless it was judged relevant. In labelled data it is left
        out in any case: there every text carries its own label.
        """
        query_ids, document_ids = self.dataset.identities
        order = np.argsort(document_ids[self.rows], kind="stable")
        ids = document_ids[self.rows][order]
        wanted = query_ids[np.asarray(queries, dtype=np.int64)]
        place = np.searchsorted(ids, wanted).clip(max=max(len(ids) - 1, 0))
        own = np.where(ids[place] == wanted, order[place], -1).astype(np.int64)
        if self.dataset.labels is None:
            width = len(self.dataset.documents)
            judged = [
                qrels.query.astype(np.int64) * width + qrels.node
                for qrels in map(self.dataset.positives, self.dataset.splits)
            ]
            pairs = np.asarray(queries, dtype=np.int64) * width + self.rows[own]
            own[np.isin(pairs, np.concatenate(judged))] = -1
        return own

    def on_table(self, hits: Hits) -> Hits:
        """Hits over the searched documents, as rows of the document table."""
        rows = np.where(hits.documents >= 0, self.rows[hits.documents.clip(min=0)], -1)
        return replace(hits, documents=rows.astype(np.int32))


@dataclass(frozen=True, eq=False)
class Found:
    """Hits with the vectors they came from (None for BM25) and how these were compared."""

    hits: Hits
    queries: Float32[np.ndarray, "query dim"] | None = None
    documents: Float32[np.ndarray, "searched dim"] | None = None
    similarity: str = "cosine"

    def only(self, places: Int64[np.ndarray, " kept"]) -> "Found":
        """What was found for some of the queries."""
        hits = Hits(self.hits.documents[places], self.hits.scores[places])
        return Found(hits, None if self.queries is None else self.queries[places], self.documents, self.similarity)


def retrieve_bm25(
    corpus: Corpus, queries: np.ndarray, depth: int, sink: Sink = Silent(), identifiers: bool = False
) -> Found:
    """The best documents by BM25; with ``identifiers``, parts of identifiers are terms too."""
    index = BM25(corpus.texts(), tokenise=Tokeniser(identifiers=identifiers), sink=sink)
    hits = index.search(
        corpus.dataset.queries.take(queries),
        min(depth, len(corpus.rows)),
        tie_order=corpus.tie_order,
        exclude=corpus.own_text(queries),
        sink=sink,
    )
    return Found(corpus.on_table(hits))


def retrieve(
    encoder: Encoder, corpus: Corpus, queries: np.ndarray, depth: int, sink: Sink = Silent(), keep: Path | None = None
) -> Found:
    """The best documents by an encoder, by exact search.

    Args:
        encoder: what embeds.
        corpus: what is searched.
        queries: rows of the query table.
        depth: documents for each query.
        sink: takes progress.
        keep: a ``.npy`` file to keep the document vectors in; they are read from it when it is there already.
    """
    documents = _vectors(encoder, corpus, sink, keep)
    vectors = encoder.encode_queries(corpus.dataset.queries.take(queries), sink)
    return ranked(vectors, documents, encoder.similarity, corpus, queries, depth, sink)


def ranked(
    vectors: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "searched dim"],
    similarity: str,
    corpus: Corpus,
    queries: np.ndarray,
    depth: int,
    sink: Sink = Silent(),
) -> Found:
    """The best documents by vectors of queries and of the searched documents, in the order of ``corpus.rows``."""
    hits = search(
        vectors,
        documents,
        min(depth, len(corpus.rows)),
        tie_order=corpus.tie_order,
        similarity=similarity,
        exclude=corpus.own_text(queries),
        sink=sink,
    )
    return Found(corpus.on_table(hits), vectors, documents, similarity)


def _vectors(encoder: Encoder, corpus: Corpus, sink: Sink, keep: Path | None) -> Float32[np.ndarray, "searched dim"]:
    if keep is None:
        return encoder.encode_documents(corpus.texts(), sink)
    if not keep.is_file():
        with atomic(keep) as partial, partial.open("wb") as stream:
            np.save(stream, encoder.encode_documents(corpus.texts(), sink))
    kept: Float32[np.ndarray, "searched dim"] = np.load(keep, mmap_mode="r")
    return kept
