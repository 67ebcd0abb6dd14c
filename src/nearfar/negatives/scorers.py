"""Scores of pairs by the vectors of a model."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from nearfar.events import Silent, Sink, track
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Scorer
from nearfar.retrieval.dense import conditions, workers
from nearfar.retrieval.screen import score
from nearfar.retrieval.vectors import Block

_AT_ONCE = 4_096
"""Pairs that are scored together: at most 13 MB of vectors of 384 dimensions, which a cache may hold."""


@dataclass(frozen=True, kw_only=True)
class Model(Scorer):
    """The similarity of the two vectors by a model, as a search gives it.

    Attributes:
        name: of the model, as for ``--model``; empty for the one that is mined for.
    """

    name: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """The one whose vectors are compared."""
        return (self.name,)

    def score(
        self, material: Material, queries: np.ndarray, documents: np.ndarray, sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """The scores of pairs of a query row and a document row."""
        vectors = material.store.vectors(self.name, sink)
        own, made = vectors.documents, vectors.documents[:0]
        if (documents >= len(own)).any():
            made = material.store.embed(self.name, material.made.texts, sink)
        places = np.searchsorted(material.queries, queries)
        scores = np.full(len(queries), np.nan, dtype=np.float32)

        def fill(start: int) -> bool:
            part = slice(start, start + _AT_ONCE)
            left, rows = np.unique(places[part], return_inverse=True)
            right, columns = np.unique(documents[part], return_inverse=True)
            first_made = int(np.searchsorted(right, len(own)))
            known, fresh = own[right[:first_made]], made[right[first_made:] - len(own)]
            both = np.concatenate([known, fresh]) if len(fresh) else known
            sides = (vectors.queries[left], "query"), (both, "document")
            asked, found = (Block(table, 0, side, vectors.similarity).vectors for table, side in sides)
            order = np.argsort(rows, kind="stable")
            scores[start + order] = score(asked, found, rows[order], columns[order])
            return True

        starts = range(0, len(queries), _AT_ONCE)
        with conditions(), workers(len(starts), torch.device("cpu")) as run:
            for _ in track(run(fill, starts), "scoring", sink, len(queries), _AT_ONCE):
                pass
        return scores
