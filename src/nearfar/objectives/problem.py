"""What flows through the parts of an objective: rows, columns, and what each column is to each row.

A call makes one ``Problem`` from what it was given. Candidates, synthesis, masks, logits and weights turn it into
another one; the criterion turns it into losses. Nothing is changed in place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from nearfar.errors import ShapeError
from nearfar.objectives.masks import check_companions, dense_masks, masks
from nearfar.types import KnownPairs, Masks, Origin, Relation


@dataclass(frozen=True)
class Window:
    """Which rows these are, where rows are computed in tiles.

    Attributes:
        start: the place of the first one.
        total: how many there are in all.
    """

    start: int
    total: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Few:
    """Where the few pairs are that are not negatives: to look for them in a matrix costs more than to compute with it.

    It holds for the very masks that it was made with, and no longer once a part has made others.

    Attributes:
        positive, valid: those masks.
        matches: rows and columns of the positives.
        rest: rows and columns of all that is not a negative.
    """

    positive: Bool[Tensor, "row column"]
    valid: Bool[Tensor, "row column"]
    matches: tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]
    rest: tuple[Int[Tensor, " other"], Int[Tensor, " other"]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """Rows to be told apart from columns.

    The first fields are set from the start, the others by the parts that compute them.

    Attributes:
        anchors: vectors of the rows, in float32 or float64.
        candidates: vectors of the columns.
        positive: the column belongs to the row.
        valid: the pair may be used at all; ``positive`` is a subset.
        judged: somebody said how relevant the column is to the row, perhaps that it is not.
        grades: how relevant, 0 where nobody said.
        origins: an ``Origin`` for each column.
        own: the column is an explicit hard negative of this very row.
        row_ids, column_ids: identities of the texts, equal for equal texts.
        index: place of each row in the dataset, -1 where it has none.
        labels: class or value of each row.
        teacher: scores of a teacher for each pair.
        guide_anchors, guide_candidates: vectors of another encoder for rows and columns.
        known: which texts belong together whether or not they are here, by identity.
        unit: anchors and candidates are of length 1, and so must be what joins them.
        window: which rows these are, where they are not all.
        few: where the pairs are that are not negatives, if somebody knows.
        similarity: scores, higher for nearer.
        logits: what the criterion sees: similarities after margins and temperature.
        temperature: what the similarities were divided by, so that other blocks can be too.
        bias: added to the logits of negatives, the log of their weight.
        attraction: multiplies the logit of a positive where it is pulled, not where it is in a denominator.
        shares: weight of each positive within its row; None for equal shares.
        importance: weight of each row.
        extra: log of further mass in the denominator of each row, or of each pair.
        source: the anchor that each row stands for, where an anchor has other than one row; losses are their mean.
        among_anchors, among_candidates: which rows, or columns, may be negatives of one another.
    """

    anchors: Float[Tensor, "row dim"]
    candidates: Float[Tensor, "column dim"]
    positive: Bool[Tensor, "row column"]
    valid: Bool[Tensor, "row column"]
    judged: Bool[Tensor, "row column"]
    grades: Float[Tensor, "row column"]
    origins: Int[Tensor, " column"]
    own: Bool[Tensor, "row column"]
    row_ids: Int[Tensor, " row"] | None = None
    column_ids: Int[Tensor, " column"] | None = None
    index: Int[Tensor, " row"] | None = None
    labels: Shaped[Tensor, " row"] | None = None
    teacher: Float[Tensor, "row column"] | None = None
    guide_anchors: Float[Tensor, "row guide"] | None = None
    guide_candidates: Float[Tensor, "column guide"] | None = None
    known: KnownPairs | None = None
    unit: bool = False
    window: Window | None = None
    few: Few | None = None
    similarity: Float[Tensor, "row column"] | None = None
    logits: Float[Tensor, "row column"] | None = None
    temperature: Float[Tensor, "..."] | None = None
    bias: Float[Tensor, "row column"] | None = None
    attraction: Float[Tensor, "row column"] | None = None
    shares: Float[Tensor, "row column"] | None = None
    importance: Float[Tensor, " row"] | None = None
    extra: Float[Tensor, "row #column"] | None = None
    source: Int[Tensor, " row"] | None = None
    among_anchors: Bool[Tensor, "row row"] | None = None
    among_candidates: Bool[Tensor, "column column"] | None = None

    @property
    def negative(self) -> Bool[Tensor, "row column"]:
        """Valid and not positive."""
        return self.valid & ~self.positive

    @property
    def matches(self) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
        """Rows and columns of the positives, by row."""
        if self.few is not None and self.few.positive is self.positive:
            return self.few.matches
        rows, columns = self.positive.nonzero(as_tuple=True)
        return rows, columns

    @property
    def rest(self) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]] | None:
        """Rows and columns of all that is not a negative, if somebody knows; a pair may be there twice."""
        few = self.few
        return None if few is None or few.positive is not self.positive or few.valid is not self.valid else few.rest

    @property
    def scores(self) -> Float[Tensor, "row column"]:
        """The similarities, which a part that comes after them may count on."""
        assert self.similarity is not None
        return self.similarity

    @property
    def z(self) -> Float[Tensor, "row column"]:
        """The logits, which a part that comes after the similarities may count on."""
        assert self.logits is not None
        return self.logits

    @property
    def masks(self) -> Masks:
        """Positives and valid pairs as one value."""
        return Masks(self.positive, self.valid)

    def transpose(self) -> "Problem":
        """The same problem with rows and columns exchanged. Index and labels go along with the positives.

        A hard negative has no rows of its own to stand against, so no column of the new problem is one.
        """
        return replace(
            self,
            anchors=self.candidates,
            candidates=self.anchors,
            positive=self.positive.T,
            valid=self.valid.T,
            judged=self.judged.T,
            grades=self.grades.T,
            origins=torch.full_like(self.origins[:1], Origin.IN_BATCH).expand(len(self.anchors)),
            own=torch.zeros_like(self.own.T),
            row_ids=self.column_ids,
            column_ids=self.row_ids,
            index=None if self.index is None else along_positives(self.index, self.positive, -1),
            labels=None if self.labels is None else along_positives(self.labels, self.positive, -1),
            teacher=None if self.teacher is None else self.teacher.T,
            guide_anchors=self.guide_candidates,
            guide_candidates=self.guide_anchors,
            similarity=None if self.similarity is None else self.similarity.T,
        )


@runtime_checkable
class Watcher(Protocol):
    """Somebody who looks on while rows are computed in tiles, and changes nothing."""

    def see_tile(self, path: str, problem: Problem) -> None:
        """Take in what a criterion sees of some rows, before they are differentiated."""

    def weigh(self, path: str, factor: Float[Tensor, ""]) -> None:
        """Take in by what the slopes of all tiles of a path are multiplied."""


def along_positives(
    values: Shaped[Tensor, " row"], positive: Bool[Tensor, "row column"], otherwise: int
) -> Shaped[Tensor, " column"]:
    """What each column takes over from the rows that it belongs to: the smallest value, whatever their order."""
    order = values.argsort()
    first = order[positive[order].to(torch.uint8).argmax(dim=0)]
    return torch.where(positive.any(dim=0), values[first], torch.as_tensor(otherwise, dtype=values.dtype))


def make_problem(
    name: str,
    anchors: Float[Tensor, "anchor dim"],
    candidates: Float[Tensor, "candidate dim"],
    relevance: Relation | Tensor,
    **beside: Tensor | None,
) -> Problem:
    """Check what an objective was given and make it a problem.

    Args:
        name: of the objective, for messages.
        anchors: embeddings of the anchors.
        candidates: embeddings of the candidates.
        relevance: a relation, or a matrix.
        **beside: the keyword inputs of an objective; see ``Objective.outcome``.

    Raises:
        ShapeError: when shapes or dtypes do not fit together. The message repeats everything that was passed.
    """
    check_given(name, {"anchors": anchors, "candidates": candidates, "relevance": relevance, **beside})
    anchors, candidates = in_one_precision(anchors, candidates)
    anchor_ids, candidate_ids, origin = (beside.get(key) for key in ("anchor_ids", "candidate_ids", "origin"))
    if isinstance(relevance, Relation):
        known, (grades, judged) = masks(relevance), _judgements(relevance, anchors)
        anchor_ids, candidate_ids = relevance.anchor_ids, relevance.candidate_ids
        origin = relevance.origins if origin is None else origin
        explicit = judged & (grades < relevance.positive_from)
    else:
        known = dense_masks(relevance, beside.get("ignored"), anchor_ids, candidate_ids)
        judged = known.valid
        grades = torch.where(judged, relevance.to(precise(anchors).dtype), 0.0)
        explicit = known.negative
    if origin is None:
        origin = torch.full((len(candidates),), int(Origin.IN_BATCH), device=anchors.device)
    teacher = _precise(beside.get("teacher"))
    guide_anchors, guide_candidates = in_one_precision(beside.get("guide_anchors"), beside.get("guide_candidates"))
    return Problem(
        anchors=anchors,
        candidates=candidates,
        positive=known.positive,
        valid=known.valid,
        judged=judged & known.valid,
        grades=grades,
        origins=origin if origin.ndim == 1 else origin.amax(dim=0),
        own=explicit & known.negative & (origin == Origin.HARD),
        row_ids=anchor_ids,
        column_ids=candidate_ids,
        index=beside.get("index"),
        labels=beside.get("labels"),
        teacher=teacher,
        guide_anchors=guide_anchors,
        guide_candidates=guide_candidates,
        known=relevance.known if isinstance(relevance, Relation) else None,
    )


def precise(vectors: Shaped[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The house computes logits and everything after them in at least float32."""
    return vectors if vectors.dtype == torch.float64 else vectors.float()


def _precise(vectors: Tensor | None) -> Tensor | None:
    return None if vectors is None else precise(vectors)


def in_one_precision(one: Tensor | None, other: Tensor | None) -> tuple[Any, Any]:
    """Both sides in one precision: double as soon as either of them is."""
    double = any(side is not None and side.dtype == torch.float64 for side in (one, other))
    first, second = (None if side is None else side.double() if double else precise(side) for side in (one, other))
    return first, second


def shapes_of(given: Mapping[str, object]) -> str:
    """``anchors (4, 8) float32, relevance 4 x 6``: what was passed, for a message."""
    shown = []
    for name, value in given.items():
        if isinstance(value, Tensor):
            shown.append(f"{name} {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}")
        elif isinstance(value, Relation):
            shown.append(f"{name} of {value.shape[0]} x {value.shape[1]}")
        elif value is not None:
            shown.append(f"{name} {value!r}")
    return ", ".join(shown)


def _judgements(
    relation: Relation, anchors: Float[Tensor, "anchor dim"]
) -> tuple[Float[Tensor, "anchor candidate"], Bool[Tensor, "anchor candidate"]]:
    """Grades and judged pairs of a relation as matrices."""
    shape = (len(relation.anchor_ids), len(relation.candidate_ids))
    grades = torch.zeros(shape, dtype=precise(anchors).dtype, device=anchors.device)
    grades[relation.rows, relation.columns] = relation.grades.to(grades.dtype)
    judged = torch.zeros(shape, dtype=torch.bool, device=anchors.device)
    judged[relation.rows, relation.columns] = True
    return grades, judged


def check_given(name: str, given: Mapping[str, object]) -> None:
    """Raise ShapeError unless everything has the shape and the kind of number that the contract says."""
    anchors, candidates, relevance = given["anchors"], given["candidates"], given["relevance"]

    def refuse(problem: str) -> ShapeError:
        return ShapeError(f"{name}: {problem}. Got {shapes_of(given)}.")

    if not isinstance(anchors, Tensor) or not isinstance(candidates, Tensor):
        raise refuse("anchors and candidates must be tensors")
    if not isinstance(relevance, Relation | Tensor):
        raise refuse("relevance must be a Relation or a tensor")
    shape = tuple(relevance.shape)
    fits = (
        anchors.ndim == candidates.ndim == 2
        and anchors.shape[1] == candidates.shape[1]
        and shape == (len(anchors), len(candidates))
    )
    if not fits:
        raise refuse("anchors must be (A, D), candidates (C, D) and relevance (A, C)")
    if not (anchors.is_floating_point() and candidates.is_floating_point()):
        raise refuse("anchors and candidates must hold floating-point numbers")
    if isinstance(relevance, Tensor) and relevance.is_complex():
        raise refuse("relevance must hold numbers or booleans")
    if isinstance(relevance, Tensor) and not bool(torch.isfinite(relevance).all()):
        raise refuse("relevance must hold finite numbers; say what nobody knows by ignored=, a matrix of booleans")
    guides = [given.get(side) for side in ("guide_anchors", "guide_candidates")]
    widths = {side.shape[1] for side in guides if isinstance(side, Tensor) and side.ndim == 2}
    if len(widths) > 1:
        raise refuse("guide_anchors and guide_candidates must be of one width")
    check_companions(shape, given, refuse)
