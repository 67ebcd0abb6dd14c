"""The values that flow between parts, and the legend of axis names.

Axis names, used in every signature::

    anchor      rows of a score matrix
    candidate   columns of a score matrix
    dim         width of an embedding
    text        texts of a step, of both sides
    query       rows of the query table, or queries of an evaluation
    document    rows of the document table
    rank        places of a ranking, best first
    pair        entries of a sparse relation
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int32
from torch import Tensor

from nearfar.errors import ShapeError


class Origin(IntEnum):
    """Where a candidate column came from. An own hard negative is a ``HARD`` column that the anchor judged 0."""

    IN_BATCH = 0
    HARD = 1
    QUEUE = 2
    MIXED = 3
    SAME_SIDE = 4
    CLASS = 5


@dataclass(frozen=True, eq=False, kw_only=True)
class Relation:
    """Who belongs to whom among the anchors and candidates of a step.

    Identities stand for texts: equal text, equal identity, over both sides. ``rows``, ``columns`` and ``grades``
    list the judged pairs; every other pair is unjudged and counts as negative, unless it is ignored.

    Attributes:
        anchor_ids: identity of each anchor.
        candidate_ids: identity of each candidate.
        rows, columns: the judged pairs, as positions.
        grades: their grades.
        origins: an ``Origin`` for each candidate.
        ignored_rows, ignored_columns: pairs that are neither positive nor negative.
        positive_from: the grade from which a judged pair is positive.
    """

    anchor_ids: Int[Tensor, " anchor"]
    candidate_ids: Int[Tensor, " candidate"]
    rows: Int[Tensor, " pair"]
    columns: Int[Tensor, " pair"]
    grades: Float[Tensor, " pair"]
    origins: Int[Tensor, " candidate"]
    ignored_rows: Int[Tensor, " ignored"]
    ignored_columns: Int[Tensor, " ignored"]
    positive_from: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """(anchors, candidates)."""
        return len(self.anchor_ids), len(self.candidate_ids)

    def to(self, device: torch.device | str) -> "Relation":
        """The same relation on another device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **moved)  # type: ignore[arg-type]  # a dict of tensors only


@dataclass(frozen=True, eq=False)
class Masks:
    """What each candidate is to each anchor. A pair that is not valid is ignored.

    Attributes:
        positive: the candidate is relevant to the anchor. A subset of ``valid``.
        valid: the pair may be used at all.
    """

    positive: Bool[Tensor, "anchor candidate"]
    valid: Bool[Tensor, "anchor candidate"]

    @property
    def negative(self) -> Bool[Tensor, "anchor candidate"]:
        """Valid and not positive."""
        return self.valid & ~self.positive

    def transpose(self) -> "Masks":
        """The same masks with anchors and candidates exchanged."""
        return Masks(self.positive.T, self.valid.T)


@dataclass(frozen=True, eq=False)
class Batch:
    """The texts of one step and the relation between them. Texts are distinct on each side.

    Attributes:
        anchors: query texts, without prompts.
        candidates: document texts, without prompts.
        relation: who belongs to whom.
        index: row of each anchor in the query table, for objectives that remember examples.
        labels: for labelled data, the label of each anchor.
    """

    anchors: list[str]
    candidates: list[str]
    relation: Relation
    index: Int[Tensor, " anchor"] | None = None
    labels: Int[Tensor, " anchor"] | None = None

    def __post_init__(self) -> None:
        if (len(self.anchors), len(self.candidates)) != self.relation.shape:
            raise ShapeError(
                f"A batch has {len(self.anchors)} anchors and {len(self.candidates)} candidates, "
                f"its relation is {self.relation.shape[0]} x {self.relation.shape[1]}."
            )


@dataclass(frozen=True, eq=False)
class Hits:
    """The best documents of each query, best first.

    Rows with fewer than ``rank`` hits are filled with document -1 and score -inf.

    Attributes:
        documents: rows of the document table.
        scores: their scores, descending along a row.
    """

    documents: Int32[np.ndarray, "query rank"]
    scores: Float32[np.ndarray, "query rank"]

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def depth(self) -> int:
        """How many places a ranking has."""
        return int(self.documents.shape[1])
