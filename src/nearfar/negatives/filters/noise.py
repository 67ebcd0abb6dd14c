"""Candidates that answer nearly the same question."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Int32, Int64

from nearfar.config.component import is_number, is_whole, require
from nearfar.negatives.candidates import Candidates, Reason
from nearfar.negatives.material import Material, Vectors
from nearfar.negatives.parts import Filter
from nearfar.retrieval.dense import search

_TWINS = 16
"""Other queries that a query is compared with: the nearest ones."""


@dataclass(frozen=True, kw_only=True)
class Noise(Filter):
    """Drops what is a positive of another query that asks nearly the same, or near to such a positive.

    After the nearest-neighbour check of labels in 2311.12298, taken over to retrieval.

    Attributes:
        neighbours: documents around such a positive that are taken for relevant too; 0 for the positive alone.
        similarity: the cosine from which on two queries ask the same.
        model: whose vectors, named as for ``--model``; empty for the model that is mined for.
    """

    neighbours: int = 5
    similarity: float = 0.95
    model: str = ""
    reason: ClassVar[Reason] = Reason.NOISE

    def __post_init__(self) -> None:
        require(is_whole(self.neighbours) and self.neighbours >= 0, self, "neighbours", "a whole number of at least 0")
        require(
            is_number(self.similarity) and -1 <= self.similarity <= 1, self, "similarity", "a number between -1 and 1"
        )

    @property
    def models(self) -> tuple[str, ...]:
        """The one whose vectors are compared."""
        return (self.model,)

    def drops(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Rows that are near to a positive of a twin of their query."""
        vectors = material.store.vectors(self.model)
        first, second = self._twins(vectors, material)
        positives = candidates.positives
        begin, end = (np.searchsorted(positives.query, second, side) for side in ("left", "right"))
        query = np.repeat(first, end - begin)
        steps = np.arange(len(query)) - np.repeat(np.cumsum(end - begin) - (end - begin), end - begin)
        theirs = positives.document[np.repeat(begin, end - begin) + steps]
        distinct, place = np.unique(theirs, return_inverse=True)
        near = self._around(distinct, vectors, material)[place.reshape(-1)]
        width = np.int64(len(material.tie_order) + 1)
        suspected = query[:, None].astype(np.int64) * width + near
        return np.isin(candidates.query.astype(np.int64) * width + candidates.document, suspected[near >= 0])

    def _twins(
        self, vectors: Vectors, material: Material
    ) -> tuple[Int32[np.ndarray, " twin"], Int32[np.ndarray, " twin"]]:
        """Query rows, and for each another one that asks nearly the same."""
        own = np.arange(len(vectors.queries))
        found = search(vectors.queries, vectors.queries, _TWINS, similarity="cosine", exclude=own)
        row, place = np.nonzero((found.documents >= 0) & (found.scores >= self.similarity))
        return material.queries[row], material.queries[found.documents[row, place]]

    def _around(
        self, documents: Int32[np.ndarray, " positive"], vectors: Vectors, material: Material
    ) -> Int64[np.ndarray, "positive near"]:
        """Each document itself and its nearest ones; -1 for none."""
        own = documents[:, None].astype(np.int64)
        if not len(documents) or not self.neighbours:
            return own
        known = material.tie_order[: len(vectors.documents)]
        found = search(
            vectors.documents[documents],
            vectors.documents,
            self.neighbours,
            similarity="cosine",
            tie_order=known,
            exclude=documents,
        )
        return np.concatenate([own, found.documents], axis=1)
