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

from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int32, Int64
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


_SPARSE = 16
"""A matrix with fewer pairs than one in so many is filled pair by pair."""


@dataclass(frozen=True, eq=False, kw_only=True)
class KnownPairs:
    """Every pair of texts that the training data knows to belong together, whether or not a step holds both.

    For columns that are not candidates of the step, such as those of a queue: the relation of the step does not list
    them. A relevant pair is a query and a node; a document stands at one node, and a node may have many documents.

    Attributes:
        nodes: the node of the document that has each identity; -1 where no document has it. At least one.
        starts: where the nodes relevant to the query of each identity start in ``positives``, and where the last end.
        positives: relevant nodes.
    """

    nodes: Int[Tensor, " identity"]
    starts: Int[Tensor, " identity_plus_one"]
    positives: Int[Tensor, " pair"]
    _copies: dict[torch.device, "KnownPairs"] = field(default_factory=dict, repr=False)

    def between(self, rows: Int[Tensor, " row"], columns: Int[Tensor, " column"]) -> Bool[Tensor, "row column"]:
        """Which rows and columns, given by identity, belong together: one as the query, the other as the document."""
        found = torch.zeros(len(rows), len(columns), dtype=torch.bool, device=rows.device)
        self._mark(found, rows, columns)
        self._mark(found.T, columns, rows)
        return found

    def to(self, device: torch.device | str) -> "KnownPairs":
        """The same pairs on another device. Copied once for a device: they are the same at every step."""
        device = torch.device(device)
        if self.nodes.device == device:
            return self
        if device not in self._copies:
            self._copies[device] = KnownPairs(
                nodes=self.nodes.to(device), starts=self.starts.to(device), positives=self.positives.to(device)
            )
        return self._copies[device]

    def _mark(
        self,
        found: Bool[Tensor, "query document"],
        queries: Int[Tensor, " query"],
        documents: Int[Tensor, " document"],
    ) -> None:
        """Set ``found`` where a document belongs to a query."""
        places, nodes = self._relevant(queries)
        if not len(places):
            return
        there, order = torch.sort(self._nodes_of(documents), stable=True)
        first = torch.searchsorted(there, nodes)
        count = torch.searchsorted(there, nodes, right=True) - first
        if _SPARSE * int(count.sum()) <= found.numel():
            pair = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), count)
            within = torch.arange(len(pair), device=nodes.device) - (count.cumsum(0) - count)[pair]
            found[places[pair], order[first[pair] + within]] = True
        else:  # labels, of which each has many documents: a list of pairs would be larger than the matrix
            some = torch.unique(nodes)
            listed = torch.zeros(len(queries), len(some) + 1, dtype=torch.bool, device=nodes.device)
            listed[places, torch.searchsorted(some, nodes)] = True
            column = torch.searchsorted(some, there).clamp(max=len(some) - 1)
            found[:, order] |= listed[:, torch.where(some[column] == there, column, len(some))]

    def _nodes_of(self, documents: Int[Tensor, " document"]) -> Int[Tensor, " document"]:
        """The node of each identity, -1 for one that no document has."""
        known = (documents >= 0) & (documents < len(self.nodes))
        return torch.where(known, self.nodes[torch.where(known, documents, 0)], -1)

    def _relevant(self, queries: Int[Tensor, " query"]) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
        """The relevant nodes of each identity: its position among ``queries``, and the node."""
        known = (queries >= 0) & (queries < len(self.nodes))
        inside = torch.where(known, queries, 0)
        first = self.starts[inside]
        count = torch.where(known, self.starts[inside + 1] - first, 0)
        places = torch.repeat_interleave(torch.arange(len(queries), device=queries.device), count)
        within = torch.arange(len(places), device=queries.device) - (count.cumsum(0) - count)[places]
        return places, self.positives[first[places] + within]


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
        known: what the training data knows beyond the step, for objectives that compare with other steps; else None.
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
    known: KnownPairs | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(anchors, candidates)."""
        return len(self.anchor_ids), len(self.candidate_ids)

    def to(self, device: torch.device | str) -> "Relation":
        """The same relation on another device."""
        kinds = (Tensor, KnownPairs)
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, kinds)}
        return replace(self, **moved)  # type: ignore[arg-type]  # a dict of what its fields hold


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
        documents: row of each candidate in the document table, for what is kept of documents between steps.
        weights: of each pair of an anchor and a candidate, where mining gave some.
    """

    anchors: list[str]
    candidates: list[str]
    relation: Relation
    index: Int[Tensor, " anchor"] | None = None
    labels: Int[Tensor, " anchor"] | None = None
    documents: Int[Tensor, " candidate"] | None = None
    weights: Float[Tensor, "anchor candidate"] | None = None

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
        above: of how many documents at least, hits or not, a search knows that they score above a limit it was told.
    """

    documents: Int32[np.ndarray, "query rank"]
    scores: Float32[np.ndarray, "query rank"]
    above: Int64[np.ndarray, " query"] | None = None

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def depth(self) -> int:
        """How many places a ranking has."""
        return int(self.documents.shape[1])
