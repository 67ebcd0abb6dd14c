"""Reciprocal rank fusion: one ranking out of several, from places alone, so that scores need not be comparable."""

import numpy as np
from jaxtyping import Float64, Int64

from nearfar.errors import ConfigError, ShapeError
from nearfar.retrieval.ranking import check_depth
from nearfar.types import Hits


def fuse(*hits: Hits, k: int, constant: float = 60.0) -> Hits:
    """The ``k`` documents of each query with the highest sum of ``1 / (constant + rank)``, ranks counted from 1.

    A document that a ranking does not hold gets nothing from it. Documents with equal sums are ordered by row. The
    order of the rankings does not matter. Cormack, Clarke and Buettcher, SIGIR 2009.

    Args:
        hits: rankings of the same queries over the same documents.
        k: how many documents to keep; the rest of a shorter row is -1 with score -inf.
        constant: how little the first places count more than the next.

    Raises:
        ConfigError: there is nothing to fuse, ``k`` is below 1 or ``constant`` is negative.
        ShapeError: the rankings have different numbers of queries.
    """
    check_depth(k)
    if not hits:
        raise ConfigError("fuse needs at least one ranking, it got none.")
    if constant < 0:
        raise ConfigError(f"The constant of reciprocal rank fusion must not be negative, got {constant}.")
    lengths = [len(ranking) for ranking in hits]
    if len(set(lengths)) > 1:
        raise ShapeError(f"All rankings must be of the same queries, they have {lengths} queries.")
    documents = np.concatenate([ranking.documents for ranking in hits], axis=1).astype(np.int64)
    places = np.concatenate([np.arange(1, ranking.depth + 1) for ranking in hits])
    query, document, score = _sums(documents, places, constant)
    order = np.lexsort((document, -score, query))
    query, document, score = query[order], document[order], score[order]
    place = np.arange(len(query)) - np.searchsorted(query, query)
    kept = place < k
    fused = Hits(np.full((lengths[0], k), -1, dtype=np.int32), np.full((lengths[0], k), -np.inf, dtype=np.float32))
    fused.documents[query[kept], place[kept]] = document[kept]
    fused.scores[query[kept], place[kept]] = score[kept]
    return fused


def _sums(
    documents: Int64[np.ndarray, "query rank"], places: Int64[np.ndarray, " rank"], constant: float
) -> tuple[Int64[np.ndarray, " hit"], Int64[np.ndarray, " hit"], Float64[np.ndarray, " hit"]]:
    """Query, document and summed score of every distinct pair.

    Terms of a sum are added by ascending place: the same places give the same float, whatever ranking they are from.
    """
    query, column = np.nonzero(documents >= 0)
    document, place = documents[query, column], places[column]
    order = np.lexsort((place, document, query))
    query, document, place = query[order], document[order], place[order]
    first = np.ones(len(query), dtype=bool)
    first[1:] = (query[1:] != query[:-1]) | (document[1:] != document[:-1])
    if not len(query):
        return query, document, np.zeros(0)
    score = np.add.reduceat(1.0 / (constant + place), np.flatnonzero(first))
    return query[first], document[first], score
