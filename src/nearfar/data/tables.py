"""The native form of data: queries, documents, and graded relevance between them.

Rows are numbered; ids are for people and files. A table holds every text once: a text that occurs under several
ids is one row (its first id stands for all). Relevance is kept between queries and *nodes*. A node is usually one
document; in labelled data it is a label, and every document that carries the label belongs to the node. So
"relevant" has one definition for both, and ten thousand texts of one class do not need a hundred million pairs.

Nothing here imports PyTorch: reading and checking data answers at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Int32, Int64, UInt64

from nearfar.data.arrow import column

TRAIN, DEV, TEST = "train", "dev", "test"
UNSPLIT = "all"
"""The name of the only split of data that came without splits."""


@dataclass(frozen=True, eq=False)
class Texts:
    """A column of distinct texts with their ids.

    Attributes:
        ids: unique ids, one a row.
        texts: the texts, never empty after stripping, one a row.
        keys: the 128-bit identity of each text (see ``identity.text_keys``), unique over the table.
        aliases: other ids of a row's text, as ``{id: row}``; a duplicate under another id is found here.
        groups: what must stay together when splitting (a repository, a user), one a row, or None.
    """

    ids: pa.LargeStringArray
    texts: pa.LargeStringArray
    keys: UInt64[np.ndarray, "row 2"]
    aliases: Mapping[str, int] = field(default_factory=dict)
    groups: pa.LargeStringArray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def text(self, row: int) -> str:
        """The text of one row."""
        return str(self.texts[row].as_py())

    def id(self, row: int) -> str:
        """The id of one row."""
        return str(self.ids[row].as_py())

    def take(self, rows: Iterable[int] | np.ndarray) -> list[str]:
        """The texts of ``rows``, in that order."""
        index = column(np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), dtype=np.int64))
        return [str(text) for text in self.texts.take(index).to_pylist()]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """``{id: row}`` over ids and aliases."""
        return {str(name): row for row, name in enumerate(self.ids.to_pylist())} | dict(self.aliases)


@dataclass(frozen=True, eq=False)
class Qrels:
    """Graded judgements, sorted by (query, node), each pair once (the highest grade wins).

    A pair that is not listed is unjudged. Grade 0 is a judged negative, which is what a hard negative that came
    with the data is.
    """

    query: Int32[np.ndarray, " judgement"]
    node: Int32[np.ndarray, " judgement"]
    grade: Float32[np.ndarray, " judgement"]

    def __len__(self) -> int:
        return len(self.query)

    def at_least(self, grade: float) -> "Qrels":
        """The judgements whose grade is ``grade`` or higher."""
        keep = self.grade >= grade
        return Qrels(self.query[keep], self.node[keep], self.grade[keep])

    def of(self, queries: Int32[np.ndarray, " query"] | Int64[np.ndarray, " query"]) -> "Qrels":
        """The judgements of the given query rows."""
        keep = np.isin(self.query, queries)
        return Qrels(self.query[keep], self.node[keep], self.grade[keep])


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What reading the data found, for the report: counts, never texts.

    Attributes:
        source: where the data came from, as given.
        layout: which reader read it, such as ``beir`` or ``pairs``.
        rows_read: rows of the source, before anything was merged.
        duplicate_queries: ids whose text another query already had.
        duplicate_documents: ids whose text another document already had.
        leaked_queries: training queries left out because dev or test holds the same query.
        notes: further sentences for a human.
    """

    source: str
    layout: str
    rows_read: int
    duplicate_queries: int = 0
    duplicate_documents: int = 0
    leaked_queries: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Mined:
    """What a mining job says about training queries. Negatives are sorted by (query, positive, place in their list).

    Attributes:
        query: the query row of each negative.
        positive: the document row of the positive that its list is for, -1 where a query has one list for all.
        document: the document row of each negative.
        weight: of each in training.
        group: the part of its list that it belongs to, from 0, where each epoch takes one part.
        scores: what was said of each negative, by name; NaN where nothing was.
        ignored_query, ignored_document: pairs that may be relevant, so that they are neither positive nor negative.
    """

    query: Int32[np.ndarray, " negative"]
    positive: Int32[np.ndarray, " negative"]
    document: Int32[np.ndarray, " negative"]
    weight: Float32[np.ndarray, " negative"]
    group: Int32[np.ndarray, " negative"]
    scores: Mapping[str, Float32[np.ndarray, " negative"]] = field(default_factory=dict)
    ignored_query: Int32[np.ndarray, " ignored"]
    ignored_document: Int32[np.ndarray, " ignored"]

    def __len__(self) -> int:
        return len(self.query)

    def at(self, rows: Bool[np.ndarray, " negative"]) -> "Mined":
        """Some of the negatives, and all that is ignored."""
        columns = {name: getattr(self, name)[rows] for name in ("query", "positive", "document", "weight", "group")}
        return replace(self, **columns, scores={name: values[rows] for name, values in self.scores.items()})


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Three tables: queries, documents, and qrels by split.

    Attributes:
        name: a short name for reports.
        queries: the query texts.
        documents: the document texts.
        nodes: the relevance node of each document; ``arange`` unless the data is labelled.
        qrels: judgements by split name (``train``, ``dev``, ``test``, or ``all`` when unsplit).
        searched: which documents belong to the corpus that is searched. A document that only training
            pairs mention may be left out of it.
        positive_from: a pair is relevant when its grade is at least this.
        labels: names of the nodes of labelled data, else None.
        facts: what reading found.
        mined: what a mining job says about the training queries, where one was read.
    """

    name: str
    queries: Texts
    documents: Texts
    nodes: Int32[np.ndarray, " document"]
    qrels: Mapping[str, Qrels]
    searched: Bool[np.ndarray, " document"]
    positive_from: float = 1.0
    labels: tuple[str, ...] | None = None
    facts: Facts
    mined: Mined | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        return tuple(self.qrels)

    def positives(self, split: str) -> Qrels:
        """The relevant pairs of a split: judgements whose grade reaches ``positive_from``."""
        return self.qrels[split].at_least(self.positive_from)

    def query_rows(self, split: str) -> Int32[np.ndarray, " query"]:
        """The rows of the queries of a split that have at least one positive, ascending."""
        return np.unique(self.positives(split).query)

    def with_qrels(self, qrels: Mapping[str, Qrels]) -> "Dataset":
        """The same tables under other splits."""
        return replace(self, qrels=dict(qrels))

    @cached_property
    def identities(self) -> tuple[Int64[np.ndarray, " query"], Int64[np.ndarray, " document"]]:
        """One number for each distinct text, shared by both tables: equal text, equal number."""
        keys = np.concatenate([self.queries.keys, self.documents.keys])
        _, inverse = np.unique(keys, axis=0, return_inverse=True)
        inverse = inverse.reshape(-1).astype(np.int64)
        return inverse[: len(self.queries)], inverse[len(self.queries) :]

    @cached_property
    def documents_by_node(self) -> tuple[Int64[np.ndarray, " node_plus_one"], Int32[np.ndarray, " document"]]:
        """Documents grouped by node: those of node ``n`` are ``rows[starts[n]:starts[n + 1]]``."""
        order = np.argsort(self.nodes, kind="stable").astype(np.int32)
        count = int(self.nodes.max(initial=-1)) + 1
        starts = np.searchsorted(self.nodes[order], np.arange(count + 1)).astype(np.int64)
        return starts, order
