"""Texts that a source writes: from which positives, which are refused and why, and how they join the documents."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt64

from nearfar.data.identity import text_key, text_keys
from nearfar.negatives.draws import hashed
from nearfar.negatives.material import Made, Material
from nearfar.negatives.parts import Proposed
from nearfar.types import Hits


@dataclass(frozen=True, eq=False, kw_only=True)
class Written:
    """Texts that were written as negatives, in the order of the pairs that they were written for.

    Attributes:
        query: the row in the query table that each is for.
        parent: the row of the document that it was made from, a positive of the query.
        texts: the texts.
        refused: how many were not taken, by reason.
    """

    query: Int32[np.ndarray, " text"]
    parent: Int32[np.ndarray, " text"]
    texts: tuple[str, ...]
    refused: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.texts)

    def proposed(self, material: Material) -> Proposed:
        """The texts as what a source proposes: first written, first in the list of its query.

        A text that the document table holds already is that document; equal texts are one.
        """
        known = _rows(material.dataset.documents.keys, self.texts)
        made: dict[bytes, int] = {}
        first: list[int] = []  # the place of the first text of each made row
        rows: list[int] = known.tolist()
        for place, text in enumerate(self.texts):
            if rows[place] < 0:
                number = made.setdefault(text_key(text), len(made))
                first += [place] if number == len(first) else []
                rows[place] = len(material.dataset.documents) + number
        lists: dict[int, list[int]] = {int(query): [] for query in material.queries}
        for query, row in zip(self.query.tolist(), rows, strict=True):
            if row not in lists[query]:
                lists[query].append(row)
        width = max(map(len, lists.values()), default=0)
        documents = np.full((len(lists), width), -1, dtype=np.int32)
        for place, row_list in enumerate(lists.values()):
            documents[place, : len(row_list)] = row_list
        scores = np.where(documents >= 0, -np.arange(width, dtype=np.float32), -np.inf).astype(np.float32)
        return Proposed(
            Hits(documents, scores),
            Made(texts=tuple(self.texts[place] for place in first), parents=self.parent[first]),
            self.refused,
        )


def pairs_to_write_for(
    material: Material, per_query: int
) -> tuple[Int32[np.ndarray, " pair"], Int32[np.ndarray, " pair"]]:
    """Query and document rows of at most ``per_query`` positives of each query, drawn by the seed and their texts."""
    positives = material.closure.positives
    mine = np.isin(positives.query, material.queries)
    query, document = positives.query[mine], positives.document[mine]
    keys = material.dataset.queries.keys[query], material.dataset.documents.keys[document]
    luck = hashed(f"{material.seed} written", *keys)
    order = np.lexsort((luck, query))
    query, document = query[order], document[order]
    place = np.arange(len(query)) - np.searchsorted(query, query)
    return query[place < per_query], document[place < per_query]


def taken(
    material: Material,
    query: Int32[np.ndarray, " text"],
    parent: Int32[np.ndarray, " text"],
    texts: Sequence[str | None],
    reasons: Sequence[str],
) -> Written:
    """What is left of texts after those are refused that have a reason, are relevant, or repeat the query.

    Args:
        material: of the job.
        query: the row of the query that each is for.
        parent: the document row that each was made from.
        texts: the texts, None for one that was not written.
        reasons: why each is refused, empty for none.
    """
    held = [text if text is not None else "" for text in texts]
    relevant, own = _relevant(material, query, held)
    why = [
        reason or ("same as a positive" if same else "same as the query" if is_own else "")
        for reason, same, is_own in zip(reasons, relevant, own, strict=True)
    ]
    keep = np.array([not reason for reason in why], dtype=bool)
    return Written(
        query=query[keep],
        parent=parent[keep],
        texts=tuple(text for text, reason in zip(held, why, strict=True) if not reason),
        refused=dict(sorted(Counter(reason for reason in why if reason).items())),
    )


def _relevant(
    material: Material, query: Int32[np.ndarray, " text"], texts: Sequence[str]
) -> tuple[Bool[np.ndarray, " text"], Bool[np.ndarray, " text"]]:
    """Which texts have the identity of a positive of their query, and which that of the query itself."""
    rows = _rows(material.dataset.documents.keys, texts)
    known = rows >= 0
    relevant = np.zeros(len(texts), dtype=bool)
    relevant[known] = material.closure.holds(query[known], rows[known].astype(np.int32))
    own: Bool[np.ndarray, " text"] = (text_keys(texts) == material.dataset.queries.keys[query]).all(axis=1)
    return relevant, own


def _rows(keys: UInt64[np.ndarray, "row 2"], texts: Sequence[str]) -> Int64[np.ndarray, " text"]:
    """The row of each text in a table with these keys, -1 where there is none."""
    wanted = text_keys(texts)
    near = np.flatnonzero(np.isin(keys[:, 0], wanted[:, 0]))
    known = {keys[row].tobytes(): int(row) for row in near}
    return np.array([known.get(key.tobytes(), -1) for key in wanted], dtype=np.int64)
