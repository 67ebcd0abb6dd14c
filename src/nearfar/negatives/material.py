"""What the parts of a mining job may look at, beside the candidates: tables, the closure, vectors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32, Int64, UInt64

from nearfar.data.identity import text_keys
from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Similarity
from nearfar.events import Silent, Sink
from nearfar.negatives.closure import Closure
from nearfar.negatives.services import Services
from nearfar.statistics.paired import MeanInterval
from nearfar.types import Hits


@dataclass(frozen=True, eq=False, kw_only=True)
class Made:
    """Texts that a source wrote, which no table has. They follow the documents: the first is row ``len(documents)``.

    Attributes:
        texts: distinct, in the order in which they were made.
        parents: the document row that each was made from, -1 where there is none.
    """

    texts: tuple[str, ...] = ()
    parents: Int32[np.ndarray, " made"] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of one model, memory-mapped: of the queries that are mined for, and of the whole document table.

    Attributes:
        queries: one for each of the job's queries, in their order.
        documents: one for each row of the document table.
        similarity: how they are compared.
    """

    queries: Float32[np.ndarray, "query dim"]
    documents: Float32[np.ndarray, "document dim"]
    similarity: Similarity


@runtime_checkable
class Store(Protocol):
    """Gives vectors by the name of a model, computing each only once."""

    def vectors(self, model: str, sink: Sink = Silent()) -> Vectors:
        """The vectors of a model; the empty name is the model that is mined for."""

    def embed(self, model: str, texts: Sequence[str], sink: Sink = Silent()) -> Float32[np.ndarray, "text dim"]:
        """The vectors of texts that are in no table, as documents."""

    def search(
        self,
        model: str,
        depth: int,
        index: str,
        sink: Sink = Silent(),
        among: Int64[np.ndarray, " asked"] | None = None,
        above: Float32[np.ndarray, " asked"] | None = None,
    ) -> Hits:
        """The nearest searched documents of each query, or of those at some places, as rows of the document table.

        Exact search also counts the documents that score above a limit, if there is one (``above``).
        """

    def recall(
        self, model: str, depth: int, index: str, *, sample: int, seed: int, sink: Sink = Silent()
    ) -> MeanInterval:
        """Which share of the exact nearest documents an index finds, on a sample of queries."""

    def fingerprint(self, model: str) -> str:
        """A hash of what the vectors of a model follow from, beside the texts."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """What a mining job is about.

    Attributes:
        dataset: the tables.
        queries: the rows of the queries that are mined for, ascending.
        closure: what each of them is known to be answered by.
        store: has vectors.
        seed: of every draw; a part adds a salt of its own.
        made: texts that sources wrote.
        services: servers, and answers that are kept.
    """

    dataset: Dataset
    queries: Int32[np.ndarray, " query"]
    closure: Closure
    store: Store
    seed: int
    made: Made = field(default_factory=Made)
    services: Services = field(default_factory=lambda: Services(Path()))

    @cached_property
    def searched(self) -> Int64[np.ndarray, " searched"]:
        """The rows of the documents that may be negatives: all, also those that only training pairs mention."""
        return np.arange(len(self.dataset.documents))

    @cached_property
    def document_keys(self) -> UInt64[np.ndarray, "document 2"]:
        """The identity of each document, made ones too."""
        keys = self.dataset.documents.keys
        return np.concatenate([keys, text_keys(self.made.texts)]) if self.made.texts else keys

    @cached_property
    def tie_order(self) -> Int64[np.ndarray, " document"]:
        """The place of each document, made ones too, among equals: by text key, so that no id and no file decides."""
        order = np.lexsort((self.document_keys[:, 1], self.document_keys[:, 0]))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return place

    def query_texts(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """Texts of query rows."""
        return self.dataset.queries.take(rows)

    def document_texts(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """Texts of document rows, made ones too."""
        rows, known = np.asarray(rows, dtype=np.int64), len(self.dataset.documents)
        texts = self.dataset.documents.take(np.where(rows < known, rows, 0))
        return [
            text if row < known else self.made.texts[row - known]
            for text, row in zip(texts, rows.tolist(), strict=True)
        ]
