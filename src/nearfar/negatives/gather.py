"""What several sources propose, as one list of candidates for each query."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32, Int64

from nearfar.data.identity import text_key
from nearfar.data.tables import Dataset
from nearfar.negatives.material import Made
from nearfar.negatives.parts import Proposed
from nearfar.types import Hits


def gathered(dataset: Dataset, proposed: Sequence[Proposed]) -> tuple[list[Hits], Made, Int64[np.ndarray, " made"]]:
    """The hits of all sources with one numbering of the texts they made, those texts, and their identities.

    A made text that the document table has is the document there; one that two sources made is one text. Identities
    go on from those of the tables, so that a made text which equals a query or a positive is known as such.

    Args:
        dataset: the tables.
        proposed: by source.
    """
    known, documents, fresh = _Known(dataset), len(dataset.documents), 1 + _largest(dataset)
    texts: list[str] = []
    parents: list[int] = []
    identities: list[int] = []
    row_of: dict[bytes, int] = {}
    hits = []
    for each in proposed:
        rows = np.zeros(len(each.made.texts), dtype=np.int32)
        for place, text in enumerate(each.made.texts):
            key = text_key(text)
            if key not in row_of:
                document, identity = known.find(key)
                if document < 0:
                    document = documents + len(texts)
                    identities.append(identity if identity >= 0 else fresh + len(texts))
                    texts.append(text)
                    parents.append(int(each.made.parents[place]))
                row_of[key] = document
            rows[place] = row_of[key]
        hits.append(_renumbered(each.hits, documents, rows))
    made = Made(texts=tuple(texts), parents=np.asarray(parents, dtype=np.int32))
    return hits, made, np.asarray(identities, dtype=np.int64)


class _Known:
    """Finds texts of the tables by key. Reads the tables when it is first asked."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._documents: dict[bytes, int] = {}
        self._queries: dict[bytes, int] = {}

    def find(self, key: bytes) -> tuple[int, int]:
        """The document row and the identity of a text; -1 for what it has not."""
        if not self._documents:
            self._documents, self._queries = (
                {keys.tobytes(): row for row, keys in enumerate(table.keys.astype("<u8"))}
                for table in (self._dataset.documents, self._dataset.queries)
            )
        queries, documents = self._dataset.identities
        if (row := self._documents.get(key)) is not None:
            return row, int(documents[row])
        return -1, int(queries[row]) if (row := self._queries.get(key)) is not None else -1


def _largest(dataset: Dataset) -> int:
    return int(max(side.max(initial=0) for side in dataset.identities))


def _renumbered(hits: Hits, documents: int, rows: Int32[np.ndarray, " made"]) -> Hits:
    """The hits with made texts, numbered from the end of the table, under their new numbers."""
    if not len(rows):
        return hits
    made = hits.documents >= documents
    new = np.where(made, rows[np.where(made, hits.documents - documents, 0)], hits.documents)
    return Hits(new.astype(np.int32), hits.scores)
