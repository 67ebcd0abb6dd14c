"""The relation of a step: every known positive of its queries among its documents, not only the sampled pair."""

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int, Int32, Int64

from nearfar.data.tables import Dataset, Qrels
from nearfar.types import KnownPairs, Origin, Relation

Queries = Int32[np.ndarray, " query"] | Int64[np.ndarray, " query"]
Documents = Int32[np.ndarray, " document"] | Int64[np.ndarray, " document"]
Pairs = tuple[Int64[np.ndarray, " _pair"], Int64[np.ndarray, " _pair"]]
"""Positions of anchors and of candidates."""

_NONE: Pairs = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


class Judgements:
    """What a split says about each query, laid out for look-up. Knows nothing of the other splits.

    Args:
        dataset: the tables.
        split: whose judgements may shape training.
    """

    def __init__(self, dataset: Dataset, split: str) -> None:
        self._qrels: Qrels = dataset.qrels[split]
        self._starts = np.searchsorted(self._qrels.query, np.arange(len(dataset.queries) + 1))
        self._nodes = dataset.nodes
        self._query_ids, self._document_ids = dataset.identities
        self._positive_from = dataset.positive_from

    def relation(
        self,
        queries: Queries,
        documents: Documents,
        hard: Int64[np.ndarray, " hard"] | None = None,
        *,
        negative: Pairs = _NONE,
        ignored: Pairs = _NONE,
        beyond: bool = False,
    ) -> Relation:
        """Who belongs to whom among distinct ``queries`` (anchors) and distinct ``documents`` (candidates).

        Args:
            queries: rows of the query table.
            documents: rows of the document table.
            hard: positions in ``documents`` that were added as hard negatives.
            negative: positions of pairs that are negatives without having been judged: they get the grade 0.
            ignored: positions of pairs that are neither positive nor negative, unless they were judged.
            beyond: say also which texts outside of the step belong to them.
        """
        anchors, entries = self._entries(queries)
        nodes = self._qrels.node[entries]
        # Several documents may share a node, so each judgement joins a run of candidates sorted by node.
        order = np.argsort(self._nodes[documents], kind="stable")
        present = self._nodes[documents][order]
        first, last = np.searchsorted(present, nodes, "left"), np.searchsorted(present, nodes, "right")
        count = last - first
        columns = order[np.repeat(first, count) + _within(count)]
        rows, grades = np.repeat(anchors, count), np.repeat(self._qrels.grade[entries], count)
        negative, ignored = (_without(pairs, rows, columns, len(documents)) for pairs in (negative, ignored))
        origins = np.full(len(documents), Origin.IN_BATCH.value, dtype=np.int64)
        if hard is not None:
            origins[hard] = Origin.HARD.value
        return Relation(
            anchor_ids=torch.from_numpy(self._query_ids[queries]),
            candidate_ids=torch.from_numpy(self._document_ids[documents]),
            rows=torch.from_numpy(np.concatenate([rows, negative[0]])),
            columns=torch.from_numpy(np.concatenate([columns, negative[1]]).astype(np.int64)),
            grades=torch.from_numpy(np.concatenate([grades, np.zeros(len(negative[0]), dtype=np.float32)])),
            origins=torch.from_numpy(origins),
            ignored_rows=torch.from_numpy(ignored[0]),
            ignored_columns=torch.from_numpy(ignored[1]),
            positive_from=self._positive_from,
            known=self.known if beyond else None,
        )

    @cached_property
    def known(self) -> KnownPairs:
        """All relevant pairs of the split by identity: one number a text, two a pair. Made once, when it is asked for.

        A text stands once in its table, so an identity has at most one document, and with it one node.
        """
        size = 1 + int(max(self._query_ids.max(initial=0), self._document_ids.max(initial=0)))
        nodes = np.full(size, -1, dtype=np.int64)
        nodes[self._document_ids] = self._nodes
        positives = self._qrels.at_least(self._positive_from)
        queries = self._query_ids[positives.query]
        order = np.argsort(queries, kind="stable")
        return KnownPairs(
            nodes=torch.from_numpy(nodes),
            starts=torch.from_numpy(np.searchsorted(queries[order], np.arange(size + 1))),
            positives=torch.from_numpy(positives.node[order].astype(np.int64)),
        )

    def negatives(self, query: int) -> Int32[np.ndarray, " node"]:
        """The nodes that were judged and found not relevant to one query."""
        entries = slice(self._starts[query], self._starts[query + 1])
        negatives: Int32[np.ndarray, " node"] = self._qrels.node[entries][
            self._qrels.grade[entries] < self._positive_from
        ]
        return negatives

    def _entries(self, queries: Queries) -> tuple[Int64[np.ndarray, " entry"], Int64[np.ndarray, " entry"]]:
        """For each judgement of ``queries``: the position of its query, and its own position in the qrels."""
        start, stop = self._starts[queries], self._starts[queries.astype(np.int64) + 1]
        count = stop - start
        anchors = np.repeat(np.arange(len(queries)), count)
        return anchors, np.repeat(start, count) + _within(count)


def _without(pairs: Pairs, rows: np.ndarray, columns: np.ndarray, width: int) -> Pairs:
    """Each pair once, without those that are judged."""
    found = np.unique(pairs[0] * width + pairs[1])
    found = found[~np.isin(found, rows * width + columns)]
    return found // width, found % width


def _within(count: Int[np.ndarray, " run"]) -> Int64[np.ndarray, " item"]:
    """``0, 1, .., c - 1`` for each run of length ``c``, one run after the other."""
    ends = np.cumsum(count, dtype=np.int64)
    within: Int64[np.ndarray, " item"] = np.arange(int(count.sum()), dtype=np.int64) - np.repeat(ends - count, count)
    return within
