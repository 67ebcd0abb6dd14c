"""A problem before its matrices exist: vectors, identities, and the few pairs of which something is known.

Matrices of rows and columns are made for some rows at a time. What ``Problem`` says about every pair, an ``Outline``
says about the pairs that are not plain negatives.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from nearfar.objectives.problem import Few, Problem, Watcher, Window, check_given, in_one_precision, precise
from nearfar.types import KnownPairs, Origin, Relation


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a row and a column, by row.

    Attributes:
        rows, columns: places; rows ascend.
        values: a number for each pair; None where there are none.
    """

    rows: Int[Tensor, " pair"]
    columns: Int[Tensor, " pair"]
    values: Shaped[Tensor, " pair"] | None = None

    @classmethod
    def of(cls, rows: Tensor, columns: Tensor, values: Tensor | None = None) -> "Pairs":
        """Pairs in any order."""
        order = torch.argsort(rows, stable=True)
        return cls(rows[order], columns[order], None if values is None else values[order])

    @classmethod
    def distinct(cls, rows: Tensor, columns: Tensor, width: int) -> "Pairs":
        """Pairs in any order, each of them once, among so many columns."""
        found = torch.unique(rows * width + columns)
        return cls(found // max(width, 1), found % max(width, 1))

    @classmethod
    def joined(cls, parts: Iterable["Pairs"]) -> "Pairs":
        """All pairs of several lists, without values."""
        rows, columns = zip(*((part.rows, part.columns) for part in parts), strict=True)
        return cls.of(torch.cat(rows), torch.cat(columns))

    def transpose(self) -> "Pairs":
        """The same pairs with rows and columns exchanged."""
        return Pairs.of(self.columns, self.rows, self.values)

    def moved(self, rows: int, columns: int) -> "Pairs":
        """The same pairs further down and to the right."""
        return Pairs(self.rows + rows, self.columns + columns, self.values)

    def within(self, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Those of some rows: rows counted from ``start``, columns, values."""
        edges = torch.searchsorted(self.rows, torch.tensor([start, stop], device=self.rows.device)).tolist()
        part = slice(*edges)
        return self.rows[part] - start, self.columns[part], None if self.values is None else self.values[part]


@dataclass(frozen=True, eq=False)
class Tiling:
    """How rows are computed in tiles.

    Attributes:
        scores: entries of a matrix of scores in one tile, about.
        rank, world: the tiles that are computed here are every ``world``-th one from ``rank``.
        add_up: replaces tensors by their sums over ranks.
        watcher: sees the tiles that are computed here.
        path: of the form whose tiles they are, for the watcher.
    """

    scores: int
    rank: int = 0
    world: int = 1
    add_up: Callable[..., None] = lambda *tensors: None
    watcher: Watcher | None = None
    path: str = ""

    def tiles(self, rows: int, columns: int) -> list[tuple[int, int]]:
        """Start and stop of every tile."""
        height = max(self.scores // max(columns, 1), 1)
        return [(start, min(start + height, rows)) for start in range(0, rows, height)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Outline:
    """Rows to be told apart from columns, some rows at a time.

    Attributes:
        anchors, candidates: vectors of rows and columns, in float32 or float64.
        row_ids, column_ids: identities of the texts.
        positive: pairs that belong together.
        ignored: pairs that are neither positive nor negative; a positive wins. Equal texts are not listed.
        judged: pairs that somebody judged, with their grades.
        positive_from: the grade from which a pair is positive.
        origins: an ``Origin`` for each column.
        index, labels: of each row, as in ``Problem``.
        teacher: scores of a teacher, which somebody else had in memory anyway.
        guide_anchors, guide_candidates: vectors of another encoder.
        known: which texts belong together whether or not they are here.
        unit: vectors are of length 1.
        tiling: how rows are computed in tiles.
    """

    anchors: Float[Tensor, "row dim"]
    candidates: Float[Tensor, "column dim"]
    row_ids: Int[Tensor, " row"]
    column_ids: Int[Tensor, " column"]
    positive: Pairs
    ignored: Pairs
    judged: Pairs
    positive_from: float
    origins: Int[Tensor, " column"]
    index: Int[Tensor, " row"] | None = None
    labels: Shaped[Tensor, " row"] | None = None
    teacher: Float[Tensor, "row column"] | None = None
    guide_anchors: Float[Tensor, "row guide"] | None = None
    guide_candidates: Float[Tensor, "column guide"] | None = None
    known: KnownPairs | None = None
    unit: bool = False
    tiling: Tiling

    @cached_property
    def _equal(self) -> Pairs:
        """Rows and columns of equal texts."""
        return equal_pairs(self.row_ids, self.column_ids)

    def __len__(self) -> int:
        return len(self.anchors)

    def rows(
        self,
        start: int,
        stop: int,
        anchors: Float[Tensor, "tile dim"] | None = None,
        candidates: Float[Tensor, "column dim"] | None = None,
    ) -> Problem:
        """The problem of some rows.

        Args:
            start: the first row.
            stop: past the last one.
            anchors: vectors in the place of those of these rows.
            candidates: vectors in the place of those of the columns.
        """
        rows = slice(start, stop)
        anchors = self.anchors[rows] if anchors is None else anchors
        candidates = self.candidates if candidates is None else candidates
        shape, device = (len(anchors), len(candidates)), anchors.device
        matches, ignored, equal = (each.within(start, stop)[:2] for each in (self.matched, self.ignored, self._equal))
        positive = torch.zeros(shape, dtype=torch.bool, device=device)
        positive[matches] = True
        valid = torch.ones(shape, dtype=torch.bool, device=device)
        valid[ignored] = False
        valid[matches] = True
        valid[equal] = False
        rows_and_columns = zip(matches, ignored, equal, strict=True)
        rest_rows, rest_columns = map(torch.cat, rows_and_columns)
        few = Few(positive=positive, valid=valid, matches=matches, rest=(rest_rows, rest_columns))
        row, column, grade = self.judged.within(start, stop)
        assert grade is not None
        judged = torch.zeros(shape, dtype=torch.bool, device=device)
        judged[row, column] = valid[row, column]
        grades = torch.zeros(shape, dtype=anchors.dtype, device=device)
        grades[row, column] = grade.to(grades.dtype)
        own = torch.zeros(shape, dtype=torch.bool, device=device)
        hard = (grade < self.positive_from) & (self.origins[column] == Origin.HARD)
        own[row, column] = hard & valid[row, column] & ~positive[row, column]
        return Problem(
            anchors=anchors,
            candidates=candidates,
            positive=positive,
            valid=valid,
            judged=judged,
            grades=grades,
            origins=self.origins,
            own=own,
            row_ids=self.row_ids[rows],
            column_ids=self.column_ids,
            index=None if self.index is None else self.index[rows],
            labels=None if self.labels is None else self.labels[rows],
            teacher=None if self.teacher is None else self.teacher[rows],
            guide_anchors=None if self.guide_anchors is None else self.guide_anchors[rows],
            guide_candidates=self.guide_candidates,
            known=self.known,
            unit=self.unit,
            window=None if stop - start == len(self) else Window(start, len(self)),
            few=few,
        )

    def whole(self) -> Problem:
        """The problem of all rows."""
        return self.rows(0, len(self))

    def transpose(self) -> "Outline":
        """The same with rows and columns exchanged, as ``Problem.transpose`` does it."""
        return replace(
            self,
            anchors=self.candidates,
            candidates=self.anchors,
            row_ids=self.column_ids,
            column_ids=self.row_ids,
            positive=self.positive.transpose(),
            ignored=self.ignored.transpose(),
            judged=self.judged.transpose(),
            origins=self._in_batch(len(self)),
            index=None if self.index is None else self._followed(self.index),
            labels=None if self.labels is None else self._followed(self.labels),
            teacher=None if self.teacher is None else self.teacher.T,
            guide_anchors=self.guide_candidates,
            guide_candidates=self.guide_anchors,
        )

    def both_sides(self, related: str) -> "Outline":
        """Anchors and candidates as rows, and both as columns, as ``BothSides`` makes it.

        Args:
            related: ``ignored`` or ``positive``: what two related texts of one side are to each other.
        """
        size = len(self)
        vectors = torch.cat([self.anchors, self.candidates])
        ids = torch.cat([self.row_ids, self.column_ids])
        across, aside = self.positive.moved(0, size), self.ignored.moved(0, size)
        turned = self.transpose()
        beside = Pairs.joined([self._bound(), turned._bound().moved(size, size)])
        positive = [across, across.transpose(), *([beside] if related == "positive" else [])]
        ignored = [aside, aside.transpose(), *([beside] if related == "ignored" else [])]
        judged = self.judged.moved(0, size)
        assert judged.values is not None
        nothing = judged.values.new_zeros(len(beside.rows) if related == "positive" else 0)
        listed = [judged, judged.transpose(), *([beside] if related == "positive" else [])]
        guides = (self.guide_anchors, self.guide_candidates)
        guide = None if guides[0] is None or guides[1] is None else torch.cat([guides[0], guides[1]])
        return replace(
            self,
            anchors=vectors,
            candidates=vectors,
            row_ids=ids,
            column_ids=ids,
            positive=Pairs.joined(positive),
            ignored=Pairs.joined(ignored),
            judged=Pairs.of(
                torch.cat([each.rows for each in listed]),
                torch.cat([each.columns for each in listed]),
                torch.cat([judged.values, *(each.values for each in listed[1:2] if each.values is not None), nothing]),
            ),
            origins=torch.cat([self._in_batch(size), self.origins]),
            index=None if self.index is None else torch.cat([self.index, self._followed(self.index)]),
            labels=None if self.labels is None else torch.cat([self.labels, self._followed(self.labels)]),
            teacher=None,
            guide_anchors=guide,
            guide_candidates=guide,
        )

    def _in_batch(self, count: int) -> Int[Tensor, " text"]:
        return torch.full((count,), int(Origin.IN_BATCH), device=self.origins.device)

    def _followed(self, values: Shaped[Tensor, " row"]) -> Shaped[Tensor, " column"]:
        """What each column takes over from the rows that it belongs to: the smallest value, or -1."""
        found = values.new_full((len(self.candidates),), -1)
        pairs = self.matched
        return found.scatter_reduce(0, pairs.columns, values[pairs.rows], "amin", include_self=False)

    @cached_property
    def matched(self) -> Pairs:
        """The positives, without those of equal texts."""
        apart = self.row_ids[self.positive.rows] != self.column_ids[self.positive.columns]
        return Pairs(self.positive.rows[apart], self.positive.columns[apart])

    def _bound(self) -> Pairs:
        """Pairs of different rows of different texts that have to do with each other, as ``same_side`` tells them."""
        pairs = self.matched
        sharing = joined_on(pairs.columns, pairs.columns)
        direct = joined_on(self.column_ids[pairs.columns], self.row_ids)
        rows = torch.cat([pairs.rows[sharing[0]], pairs.rows[direct[0]], direct[1]])
        columns = torch.cat([pairs.rows[sharing[1]], direct[1], pairs.rows[direct[0]]])
        apart = self.row_ids[rows] != self.row_ids[columns]
        return Pairs.distinct(rows[apart], columns[apart], len(self))


def make_outline(
    name: str,
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    relation: Relation,
    tiling: Tiling,
    **beside: Tensor | None,
) -> Outline:
    """The outline of what ``make_problem`` would make a problem of; arguments and errors are those of it."""
    check_given(name, {"anchors": anchors, "candidates": candidates, "relevance": relation, **beside})
    anchors, candidates = in_one_precision(anchors, candidates)
    guide_anchors, guide_candidates = in_one_precision(beside.get("guide_anchors"), beside.get("guide_candidates"))
    teacher, origin = beside.get("teacher"), beside.get("origin")
    origin = relation.origins if origin is None else origin
    reaches = relation.grades >= relation.positive_from
    return Outline(
        anchors=anchors,
        candidates=candidates,
        row_ids=relation.anchor_ids,
        column_ids=relation.candidate_ids,
        positive=_spread(relation.rows[reaches], relation.columns[reaches], relation),
        ignored=_spread(relation.ignored_rows, relation.ignored_columns, relation),
        judged=Pairs.of(relation.rows, relation.columns, relation.grades),
        positive_from=relation.positive_from,
        origins=origin if origin.ndim == 1 else origin.amax(dim=0),
        index=beside.get("index"),
        labels=beside.get("labels"),
        teacher=None if teacher is None else precise(teacher),
        guide_anchors=guide_anchors,
        guide_candidates=guide_candidates,
        known=relation.known,
        tiling=tiling,
    )


def _spread(rows: Int[Tensor, " pair"], columns: Int[Tensor, " pair"], relation: Relation) -> Pairs:
    """The listed pairs and every other pair of the same two texts."""
    left = joined_on(relation.anchor_ids[rows], relation.anchor_ids)
    right = joined_on(relation.candidate_ids[columns[left[0]]], relation.candidate_ids)
    return Pairs.distinct(left[1][right[0]], right[1], len(relation.candidate_ids))


def equal_pairs(rows: Int[Tensor, " row"], columns: Int[Tensor, " column"]) -> Pairs:
    """Rows and columns of equal values."""
    return Pairs.of(*joined_on(rows, columns))


def joined_on(
    one: Int[Tensor, " left"], other: Int[Tensor, " right"]
) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Every pair of places at which two lists have the same value; the places in ``one`` ascend."""
    order = torch.argsort(other, stable=True)
    found = other[order]
    first = torch.searchsorted(found, one.contiguous(), side="left")
    count = torch.searchsorted(found, one.contiguous(), side="right") - first
    left = torch.repeat_interleave(torch.arange(len(one), device=one.device), count)
    within = torch.arange(len(left), device=one.device) - (count.cumsum(0) - count)[left]
    return left, order[first[left] + within]
