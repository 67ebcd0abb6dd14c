"""The candidates of a mining job: one row for each text that a source proposed for a query, and what became of it.

Rows are never removed. A candidate that is dropped gets the one reason why, so that what was proposed is at any time
what is kept plus the sum over all reasons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int32, Int64

from nearfar.errors import ConfigError, ShapeError, did_you_mean

SOURCE = "source"
"""The name of the score that a source gave."""


class Reason(IntEnum):
    """Why a candidate is not a negative of its query."""

    KEPT = 0
    POSITIVE = 1  # judged relevant to the query
    DUPLICATE = 2  # another text with the identity of a positive
    SELF = 3  # the query's own text
    REPEATED = 4  # an earlier source proposed it already
    ABSOLUTE = 5
    MARGIN = 6
    PERCENT = 7
    CROSS_ENCODER = 8
    JUDGE = 9
    GUIDE = 10
    NOISE = 11
    CONSISTENCY = 12
    CONTAMINATED = 13
    RELABELLED = 14  # moved to the positives
    QUERY = 15  # its query was dropped
    WINDOW = 16
    BUDGET = 17  # more than were asked for


class Label(IntEnum):
    """What a candidate is taken for."""

    UNKNOWN = -1
    NEGATIVE = 0
    POSITIVE = 1


Scores = Mapping[str, Float32[np.ndarray, " row"]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Positives:
    """The known positives of the queries, with the scores that candidates are held against. Sorted by query.

    Attributes:
        query: rows of the query table.
        document: rows of the document table.
        scores: by name, NaN where there is none.
    """

    query: Int32[np.ndarray, " positive"]
    document: Int32[np.ndarray, " positive"]
    scores: Scores = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.query)

    def with_scores(self, name: str, values: Float32[np.ndarray, " positive"]) -> "Positives":
        """The same with one more score."""
        return replace(self, scores={**self.scores, name: values})

    def reduced(self, name: str, how: str, queries: Int32[np.ndarray, " row"]) -> Float32[np.ndarray, " row"]:
        """The ``min``, ``max`` or ``mean`` of a score over the positives of each query; NaN for a query without any.

        Args:
            name: of the score.
            how: the reduction.
            queries: rows of the query table, in any order.
        """
        known, starts = np.unique(self.query, return_index=True)
        if not len(known):
            return np.full(len(queries), np.nan, dtype=np.float32)
        values = named(self.scores, name).astype(np.float64)
        if how == "mean":
            each = np.add.reduceat(values, starts) / np.diff([*starts, len(values)])
        else:
            each = {"min": np.minimum, "max": np.maximum}[how].reduceat(values, starts)
        place = np.searchsorted(known, queries).clip(max=len(known) - 1)
        return np.where(known[place] == queries, each[place], np.nan).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidates:
    """Candidate rows, sorted by (query, positive, source, rank).

    Attributes:
        query: rows of the query table.
        document: rows of the document table; those behind its end are the texts that a source made.
        source: which of the job's sources proposed it, by position.
        rank: its place in that source's list, from 0; nothing was removed before it was counted.
        scores: by name, NaN where there is none; ``source`` is always there.
        reason: a ``Reason`` for each.
        label: a ``Label`` for each.
        weight: of each in training.
        positive: the document row of the positive that a row is for, -1 where a query has one list for all of them.
        positives: what the queries are known to be answered by.
    """

    query: Int32[np.ndarray, " row"]
    document: Int32[np.ndarray, " row"]
    source: Int8[np.ndarray, " row"]
    rank: Int32[np.ndarray, " row"]
    scores: Scores
    reason: Int8[np.ndarray, " row"]
    label: Int8[np.ndarray, " row"]
    weight: Float32[np.ndarray, " row"]
    positive: Int32[np.ndarray, " row"]
    positives: Positives

    def __len__(self) -> int:
        return len(self.query)

    @property
    def kept(self) -> Bool[np.ndarray, " row"]:
        """Which are still negatives."""
        kept: Bool[np.ndarray, " row"] = self.reason == Reason.KEPT
        return kept

    def score(self, name: str) -> Float32[np.ndarray, " row"]:
        """A score by name.

        Raises:
            ConfigError: when nobody gave it.
        """
        return named(self.scores, name)

    def reference(self, name: str, how: str) -> Float32[np.ndarray, " row"]:
        """The score of the query's positives that each row is held against.

        Args:
            name: of the score.
            how: ``min``, ``max`` or ``mean`` over the positives of the query, or ``pair`` for that of the positive that
                the row is for.

        Raises:
            ConfigError: for ``pair`` where a query has one list for all its positives.
        """
        if how != "pair":
            return self.positives.reduced(name, how, self.query)
        if len(self) and (self.positive < 0).any():
            raise ConfigError(
                "A filter compares each candidate with the positive of its pair (positive=pair), but a query has one "
                "list for all its positives here. Set lists=pair, or compare with their min, max or mean."
            )
        width = 1 + int(max(self.positive.max(initial=0), self.positives.document.max(initial=0)))
        known = self.positives.query.astype(np.int64) * width + self.positives.document
        order = np.argsort(known, kind="stable")
        place = np.searchsorted(known[order], self.query.astype(np.int64) * width + self.positive)
        own: Float32[np.ndarray, " row"] = named(self.positives.scores, name)[order[place]]
        return own

    def drop(self, which: Bool[np.ndarray, " row"], reason: Reason) -> "Candidates":
        """The same with a reason for some rows. A row that has one already keeps it."""
        return replace(self, reason=np.where(which & self.kept, np.int8(reason), self.reason).astype(np.int8))

    def with_scores(self, name: str, values: Float32[np.ndarray, " row"]) -> "Candidates":
        """The same with one more score."""
        if len(values) != len(self):
            raise ShapeError(f"The score {name!r} has {len(values)} values for {len(self)} candidates.")
        return replace(self, scores={**self.scores, name: values})

    @cached_property
    def lists(self) -> Int64[np.ndarray, " row"]:
        """The number of the list that each row is in, ascending from 0: one for a query, or for a pair."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        new = (self.query[1:] != self.query[:-1]) | (self.positive[1:] != self.positive[:-1])
        return np.concatenate([[0], np.cumsum(new)]).astype(np.int64)

    def hardest_first(self, by: str | None = None) -> Int64[np.ndarray, " row"]:
        """Rows list by list, the hardest first: by a score, if one is named, then by rank, then by source.

        Rows without that score come last.

        Args:
            by: the name of a score, None for the ranks of the sources.
        """
        ranks = 1 + int(self.rank.max(initial=0))
        place = (self.lists * ranks + self.rank) * 128 + self.source
        if by is None:
            return _sorted(place)
        value = -self.score(by).astype(np.float64)
        order = np.lexsort((place, np.where(np.isnan(value), np.inf, value), self.lists))
        return order.astype(np.int64)

    def places(self, by: str | None = None) -> Int32[np.ndarray, " row"]:
        """The place of each kept row among the kept ones of its list, hardest first, from 0; -1 for a dropped one."""
        order = self.hardest_first(by)
        order = order[self.kept[order]]
        lists = self.lists[order]
        place = np.full(len(self), -1, dtype=np.int32)
        place[order] = np.arange(len(order)) - np.searchsorted(lists, lists)
        return place

    def count(self) -> dict[Reason, int]:
        """How many rows each reason has, ``KEPT`` among them."""
        found = np.bincount(self.reason, minlength=len(Reason))
        return {reason: int(found[reason]) for reason in Reason}


def _sorted(keys: Int64[np.ndarray, " row"]) -> Int64[np.ndarray, " row"]:
    """The order of keys, at once where they are in order already."""
    if (keys[1:] >= keys[:-1]).all():
        return np.arange(len(keys))
    return np.argsort(keys, kind="stable")


def named(scores: Scores, name: str) -> Float32[np.ndarray, " row"]:
    """A score by name.

    Raises:
        ConfigError: when nobody gave it, with what there is.
    """
    if name not in scores:
        raise ConfigError(
            f"There is no score {name!r}.{did_you_mean(name, scores)} There are: {', '.join(scores) or 'none'}. "
            "A score is given by a source or by a scorer: add one of that name to scorers."
        )
    return scores[name]


def from_sources(
    queries: Int32[np.ndarray, " query"],
    found: Sequence[tuple[Int32[np.ndarray, "query _"], Float32[np.ndarray, "query _"]]],
    positives: Positives,
) -> Candidates:
    """The candidates that sources proposed.

    Args:
        queries: rows of the query table, ascending.
        found: for each source its documents and their scores, best first; -1 for none. Depths may differ.
        positives: of these queries.
    """
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("query", "document", "source", "rank", "score")}
    for source, (documents, scores) in enumerate(found):
        row, rank = np.nonzero(documents >= 0)
        columns["query"].append(queries[row])
        columns["document"].append(documents[row, rank])
        columns["source"].append(np.full(len(row), source))
        columns["rank"].append(rank)
        columns["score"].append(scores[row, rank])
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    size = len(joined["query"])
    order = np.arange(size)
    if len(found) > 1:
        order = np.lexsort((joined["rank"], joined["source"], joined["query"]))
    return Candidates(
        query=joined["query"][order].astype(np.int32),
        document=joined["document"][order].astype(np.int32),
        source=joined["source"][order].astype(np.int8),
        rank=joined["rank"][order].astype(np.int32),
        scores={SOURCE: joined["score"][order].astype(np.float32)},
        reason=np.zeros(size, dtype=np.int8),
        label=np.full(size, Label.NEGATIVE, dtype=np.int8),
        weight=np.ones(size, dtype=np.float32),
        positive=np.full(size, -1, dtype=np.int32),
        positives=positives,
    )


def by_pair(candidates: Candidates) -> Candidates:
    """The same candidates with a list for each pair of a query and one of its positives."""
    positives = candidates.positives
    first = np.searchsorted(positives.query, candidates.query, "left")
    count = np.searchsorted(positives.query, candidates.query, "right") - first
    row = np.repeat(np.arange(len(candidates)), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    positive = positives.document[first[row] + within]
    order = np.lexsort((row, positive, candidates.query[row]))
    taken = row[order]
    return Candidates(
        query=candidates.query[taken],
        document=candidates.document[taken],
        source=candidates.source[taken],
        rank=candidates.rank[taken],
        scores={name: values[taken] for name, values in candidates.scores.items()},
        reason=candidates.reason[taken],
        label=candidates.label[taken],
        weight=candidates.weight[taken],
        positive=positive[order],
        positives=positives,
    )
