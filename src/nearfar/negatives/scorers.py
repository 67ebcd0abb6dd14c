"""Scores of pairs by the vectors of a model."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from nearfar.events import Silent, Sink, track
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Scorer
from nearfar.retrieval.dense import conditions
from nearfar.retrieval.screen import score
from nearfar.retrieval.vectors import Block

_AT_ONCE = 65_536
"""Pairs that are scored together: at most 200 MB of vectors of 384 dimensions."""


@dataclass(frozen=True, kw_only=True)
class Model(Scorer):
    """The similarity of the two vectors by a model, as a search gives it. Texts that a source made have none.

    Attributes:
        name: of the model, as for ``--model``; empty for the one that is mined for.
    """

    name: str = ""

    def score(
        self, material: Material, queries: np.ndarray, documents: np.ndarray, sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """The scores of pairs of a query row and a document row."""
        vectors = material.store.vectors(self.name, sink)
        places = np.searchsorted(material.queries, queries)
        known = documents < len(vectors.documents)
        scores = np.full(len(queries), np.nan, dtype=np.float32)
        pairs = np.flatnonzero(known)
        for start in track(range(0, len(pairs), _AT_ONCE), "scoring", sink, len(pairs), _AT_ONCE):
            part = pairs[start : start + _AT_ONCE]
            left, rows = np.unique(places[part], return_inverse=True)
            right, columns = np.unique(documents[part], return_inverse=True)
            queries_of, documents_of = (
                Block(table[chosen], 0, side, vectors.similarity).vectors
                for table, chosen, side in (
                    (vectors.queries, left, "query"),
                    (vectors.documents, right, "document"),
                )
            )
            order = np.argsort(rows, kind="stable")
            with conditions():
                scores[part[order]] = score(queries_of, documents_of, rows[order], columns[order])
        return scores
