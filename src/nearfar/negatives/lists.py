"""Lists of candidates: made from what sources proposed, one for each pair where that is wanted, and put together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from nearfar.negatives.candidates import COLUMNS, SOURCE, Candidates, Label, Positives


def from_sources(
    queries: Int32[np.ndarray, " query"],
    found: Sequence[tuple[Int32[np.ndarray, "query _"], Float32[np.ndarray, "query _"]]],
    positives: Positives,
) -> Candidates:
    """The candidates that sources proposed.

    Args:
        queries: rows of the query table, ascending.
        found: for each source its documents and their scores, best first; -1 for none. Depths may differ.
        positives: of these queries.
    """
    parts: list[tuple[np.ndarray, ...]] = []
    for number, (documents, scores) in enumerate(found):
        there = documents >= 0
        query = np.broadcast_to(queries[:, None], there.shape)[there]
        rank = np.broadcast_to(np.arange(there.shape[1], dtype=np.int32), there.shape)[there]
        parts.append((query, documents[there], np.full(len(query), number, dtype=np.int8), rank, scores[there]))
    query, document, source, rank, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    if len(found) > 1:
        order = np.argsort(query, kind="stable")  # the rest is in order already
        query, document, source, rank, score = (each[order] for each in (query, document, source, rank, score))
    size = len(query)
    return Candidates(
        query=query,
        document=document,
        source=source,
        rank=rank,
        scores={SOURCE: score},
        reason=np.zeros(size, dtype=np.int8),
        label=np.full(size, Label.NEGATIVE, dtype=np.int8),
        weight=np.ones(size, dtype=np.float32),
        positive=np.full(size, -1, dtype=np.int32),
        positives=positives,
    )


def by_pair(candidates: Candidates) -> Candidates:
    """The same candidates with a list for each pair of a query and one of its positives."""
    positives = candidates.positives
    first = np.searchsorted(positives.query, candidates.query, "left")
    count = np.searchsorted(positives.query, candidates.query, "right") - first
    row = np.repeat(np.arange(len(candidates)), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    positive = positives.document[first[row] + within]
    order = np.lexsort((row, positive, candidates.query[row]))
    return candidates.take(row[order], positive=positive[order])


def joined(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of queries that no two parts share, with the same scores in all, as one list."""
    if len(parts) == 1:
        return parts[0]
    positives = Positives(**_end_to_end([part.positives for part in parts], ("query", "document")))
    positives = positives.take(np.argsort(positives.query, kind="stable"))
    found = Candidates(**_end_to_end(parts, COLUMNS), positives=positives)
    return found.take(np.argsort(found.query, kind="stable"))


def _end_to_end(tables: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """The columns of several tables, one behind the other."""
    columns = {name: np.concatenate([getattr(table, name) for table in tables]) for name in names}
    scores = {name: np.concatenate([table.scores[name] for table in tables]) for name in tables[0].scores}
    return {**columns, "scores": scores}
