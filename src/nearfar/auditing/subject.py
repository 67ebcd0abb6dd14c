"""A data set ready to be audited: its words, the split of each query, its pairs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int, Int64

from nearfar.auditing.finding import Cited
from nearfar.auditing.words import Words
from nearfar.data.split import BY_ROWS
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset, Texts
from nearfar.events import Silent, Sink

HELD_OUT = (TEST, DEV)
"""The splits that must hold nothing of what is trained on."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A data set with the words of its texts.

    Attributes:
        dataset: the tables.
        queries, documents: their words, row by row.
    """

    dataset: Dataset
    queries: Words
    documents: Words

    @classmethod
    def of(cls, dataset: Dataset, sink: Sink = Silent()) -> "Subject":
        """Read the words of every text, once where both tables are the same."""
        queries = Words.of(dataset.queries, sink)
        same = dataset.documents is dataset.queries
        return cls(dataset, queries, queries if same else Words.of(dataset.documents, sink))

    @property
    def labelled(self) -> bool:
        """Texts with one label each: both tables hold the same texts, and relevance is between classes."""
        return self.dataset.labels is not None

    @property
    def shares_documents(self) -> bool:
        """Whether documents are shared by all splits by design, so that it is no leak."""
        return self.labelled or self.dataset.facts.layout in BY_ROWS

    @property
    def training_split(self) -> str | None:
        """The split that is trained on: ``train``, else ``all``."""
        return next((name for name in (TRAIN, UNSPLIT) if name in self.dataset.qrels), None)

    @cached_property
    def split_of_query(self) -> list[str]:
        """The split of each query; of several the first."""
        found = [""] * len(self.dataset.queries)
        for split in reversed(self.dataset.splits):
            for row in np.unique(self.dataset.qrels[split].query).tolist():
                found[row] = split
        return found

    def query(self, row: int) -> Cited:
        """A query."""
        return Cited(self.dataset.queries, int(row))

    def document(self, row: int) -> Cited:
        """A document."""
        return Cited(self.dataset.documents, int(row))

    def pairs(self, split: str) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
        """Query row and document row of every relevant pair of a split, by query. Not for labelled data."""
        positives = self.dataset.positives(split)
        return positives.query.astype(np.int64), positives.node.astype(np.int64)


def places_by_key(texts: Texts) -> Int64[np.ndarray, " text"]:
    """The place of each text in the order of identities, which does not depend on the order of rows."""
    place = np.empty(len(texts), dtype=np.int64)
    place[np.lexsort((texts.keys[:, 1], texts.keys[:, 0]))] = np.arange(len(texts))
    return place


def first_by_key(texts: Texts, rows: Int[np.ndarray, " row"], limit: int) -> Int64[np.ndarray, " _kept"]:
    """At most ``limit`` of ``rows``, chosen and ordered by identity: a sample that does not depend on order."""
    order = np.argsort(places_by_key(texts)[rows], kind="stable")
    return rows[order][:limit].astype(np.int64)
