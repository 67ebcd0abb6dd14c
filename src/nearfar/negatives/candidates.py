"""The candidates of a mining job: one row for each text that a source proposed for a query, and what became of it.

Rows are never removed. A candidate that is dropped gets the one reason why, so that what was proposed is at any time
what is kept plus the sum over all reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from typing import Any

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
    UNSCORED = 5  # it, or its positive, has no score for a filter to go by
    ABSOLUTE = 6
    MARGIN = 7
    PERCENT = 8
    CROSS_ENCODER = 9
    JUDGE = 10
    GUIDE = 11
    NOISE = 12
    CONSISTENCY = 13
    CONTAMINATED = 14
    RELABELLED = 15  # moved to the positives
    QUERY = 16  # its query was dropped
    WINDOW = 17
    BUDGET = 18  # more than were asked for


class Label(IntEnum):
    """What a candidate is taken for."""

    UNKNOWN = -1
    NEGATIVE = 0
    POSITIVE = 1


Scores = Mapping[str, Float32[np.ndarray, " row"]]


COLUMNS = ("query", "document", "source", "rank", "reason", "label", "weight", "positive")
"""Of candidates, beside their scores."""


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

    def about(self, queries: Int32[np.ndarray, " query"]) -> "Positives":
        """Those of some queries."""
        return self.take(np.flatnonzero(_are_in(self.query, queries)))

    def take(self, rows: Int64[np.ndarray, " taken"]) -> "Positives":
        """Some of them."""
        scores = {name: values[rows] for name, values in self.scores.items()}
        return Positives(query=self.query[rows], document=self.document[rows], scores=scores)

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
        by_row: Float32[np.ndarray, " query"] = np.full(
            1 + max(int(known[-1]), int(queries.max(initial=0))), np.nan, dtype=np.float32
        )
        by_row[known] = each
        reduced: Float32[np.ndarray, " row"] = by_row[queries]
        return reduced


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
        return self._with(reason=np.where(which & self.kept, np.int8(reason), self.reason))

    def with_scores(self, name: str, values: Float32[np.ndarray, " row"]) -> "Candidates":
        """The same with one more score."""
        if len(values) != len(self):
            raise ShapeError(f"The score {name!r} has {len(values)} values for {len(self)} candidates.")
        return self._with(scores={**self.scores, name: values})

    def _with(self, **changes: Any) -> "Candidates":
        """The same rows with other entries in some columns; which list each is in need not be found again."""
        changed = replace(self, **changes)
        if "lists" in self.__dict__:
            changed.__dict__["lists"] = self.lists
        return changed

    def about(self, queries: Int32[np.ndarray, " query"]) -> "Candidates":
        """The rows and the positives of some queries."""
        return self.take(np.flatnonzero(_are_in(self.query, queries)), positives=self.positives.about(queries))

    def take(self, rows: Int64[np.ndarray, " taken"], **changes: Any) -> "Candidates":
        """Some rows, with other entries in some columns."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS if name not in changes}
        scores = {name: values[rows] for name, values in self.scores.items()}
        return replace(self, **{**columns, "scores": scores, **changes})

    @cached_property
    def lists(self) -> Int64[np.ndarray, " row"]:
        """The number of the list that each row is in, ascending from 0: one for a query, or for a pair."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        new = np.zeros(len(self), dtype=bool)
        new[1:] = (self.query[1:] != self.query[:-1]) | (self.positive[1:] != self.positive[:-1])
        return np.cumsum(new)

    def hardest_first(
        self, by: str | None = None, among: Bool[np.ndarray, " row"] | None = None
    ) -> Int64[np.ndarray, " some"]:
        """Rows list by list, the hardest first: by a score, if one is named, then by rank, then by source.

        Rows without that score come last.

        Args:
            by: the name of a score, None for the ranks of the sources.
            among: which rows; None for all.
        """
        rows = np.arange(len(self)) if among is None else np.flatnonzero(among)
        ranks = 1 + int(self.rank.max(initial=0))
        lists = self.lists[rows]
        place = (lists * ranks + self.rank[rows]) * 128 + self.source[rows]
        if by is None:
            by_rank: Int64[np.ndarray, " some"] = rows[_sorted(place)]
            return by_rank
        value = -self.score(by)[rows].astype(np.float64)
        order: Int64[np.ndarray, " some"] = rows[np.lexsort((place, np.where(np.isnan(value), np.inf, value), lists))]
        return order

    def places(self, by: str | None = None, among: Bool[np.ndarray, " row"] | None = None) -> Int32[np.ndarray, " row"]:
        """The place of each row among some of its list, hardest first, from 0; -1 for one that is not among them.

        Args:
            by: the name of a score, None for the ranks of the sources.
            among: which rows; None for those that are kept.
        """
        order = self.hardest_first(by, self.kept if among is None else among)
        lists = self.lists[order]
        starts = np.flatnonzero(np.diff(lists, prepend=-1))
        place = np.full(len(self), -1, dtype=np.int32)
        place[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
        return place

    def count(self) -> dict[Reason, int]:
        """How many rows each reason has, ``KEPT`` among them."""
        found = np.bincount(self.reason, minlength=len(Reason))
        return {reason: int(found[reason]) for reason in Reason}


def _are_in(rows: Int32[np.ndarray, " row"], queries: Int32[np.ndarray, " query"]) -> Bool[np.ndarray, " row"]:
    """Which rows of the query table are among some."""
    wanted = np.zeros(1 + max(int(rows.max(initial=-1)), int(queries.max(initial=-1))), dtype=bool)
    wanted[queries] = True
    found: Bool[np.ndarray, " row"] = wanted[rows]
    return found


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
