"""What all ways of searching share: the tie rule, the k best of one query, and checks of their arguments."""

import numpy as np
from jaxtyping import Float32, Int, Int32

from nearfar.errors import ConfigError, DataError, ShapeError, first_few


def tie_ranks(tie_order: Int[np.ndarray, " document"] | None, count: int) -> Int32[np.ndarray, " document_plus_one"]:
    """The place of each document among equals, all different, and one more for "no document" (row -1), which is last.

    ``tie_order`` may hold any integers, lower first; equal ones, and None, leave it to the row number.

    Raises:
        ShapeError: ``tie_order`` does not have one entry for each document.
    """
    if tie_order is None:
        return np.arange(count + 1, dtype=np.int32)
    if len(tie_order) != count:
        raise ShapeError(f"tie_order must have one entry for each of the {count} documents, it has {len(tie_order)}.")
    ranks = np.empty(count + 1, dtype=np.int32)
    ranks[np.argsort(tie_order, kind="stable")] = np.arange(count, dtype=np.int32)
    ranks[count] = count
    return ranks


def best_of(
    documents: Int32[np.ndarray, " hit"],
    scores: Float32[np.ndarray, " hit"],
    k: int,
    ranks: Int32[np.ndarray, " document_plus_one"],
) -> tuple[Int32[np.ndarray, " best"], Float32[np.ndarray, " best"]]:
    """At most k hits of one query, by (descending score, ascending tie rank), exact also if the last place is tied."""
    if len(scores) > 4 * k:
        keep = scores >= np.partition(scores, -k)[-k]
        documents, scores = documents[keep], scores[keep]
    order = np.lexsort((ranks[documents], -scores))[:k]
    return documents[order], scores[order]


def check_depth(k: int) -> None:
    """Refuse a ranking without places.

    Raises:
        ConfigError: ``k`` is below 1.
    """
    if k < 1:
        raise ConfigError(f"k, the number of documents to return for each query, must be at least 1, got {k}.")


def check_exclude(exclude: Int[np.ndarray, " excluded"] | None, queries: int, documents: int) -> None:
    """Refuse exclusions that do not fit the tables.

    Raises:
        ShapeError: ``exclude`` does not have one entry for each query.
        DataError: an entry is neither -1 nor a document row.
    """
    if exclude is None:
        return
    if len(exclude) != queries:
        raise ShapeError(f"exclude must have one entry for each of the {queries} queries, it has {len(exclude)}.")
    wrong = np.flatnonzero((exclude < -1) | (exclude >= documents))
    if len(wrong):
        raise DataError(
            f"exclude must hold document rows from 0 to {documents - 1}, or -1 for none; it holds "
            f"{int(exclude[wrong[0]])} at query {int(wrong[0])}, and {len(wrong)} such entries in all "
            f"(queries {first_few(wrong.tolist())})."
        )
