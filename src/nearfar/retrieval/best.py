"""The best hits of every query so far, each one integer that holds score and tie rank, so that order has no luck in it.

The bits of a float32, with those below the sign flipped for negative numbers, are ordered as the numbers are; the tie
rank is subtracted below them. A larger integer is a better hit, and no two of a query are equal.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int, Int32, Int64

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.retrieval.ranking import check_depth, tie_ranks
from nearfar.types import Hits

_EMPTY = np.iinfo(np.int64).min


class Best:
    """At most ``k`` hits of each query, in no order until they are asked for."""

    def __init__(self, queries: int, k: int, ranks: Int32[np.ndarray, " document_plus_one"]) -> None:
        """Start without hits; ``ranks`` as ``tie_ranks`` gives them."""
        self._keys = np.full((queries, k), _EMPTY, dtype=np.int64)
        self._ranks = ranks
        self._documents = np.empty(len(ranks), dtype=np.int32)
        self._documents[ranks] = np.arange(len(ranks), dtype=np.int32)

    def floor(self, first: int, stop: int) -> Float32[np.ndarray, " query"]:
        """The score of each query's last place, -inf where there is none yet, of queries ``first`` to ``stop``."""
        return _unpack(self._keys[first:stop].min(axis=1))[0]

    def offer(
        self,
        queries: Int64[np.ndarray, " hit"],
        documents: Int64[np.ndarray, " hit"],
        scores: Float32[np.ndarray, " hit"],
    ) -> None:
        """Take hits that are among the best. ``queries`` must ascend; no hit may be offered twice."""
        if not len(queries):
            return
        new = np.concatenate([[True], queries[1:] != queries[:-1]])
        starts = np.flatnonzero(new)
        row = np.cumsum(new) - 1
        touched = queries[starts]
        place = np.arange(len(queries)) - starts[row]
        kept = self._keys.shape[1]
        width = int(place.max()) + 1
        table = np.full((len(touched), kept + width), _EMPTY, dtype=np.int64)
        table[:, :kept] = self._keys[touched]
        table[row, kept + place] = _pack(scores, self._ranks[documents])
        table.partition(width, axis=1)
        self._keys[touched] = table[:, width:]

    def hits(self) -> Hits:
        """The hits by (descending score, ascending tie rank)."""
        scores, ranks = _unpack(np.sort(self._keys, axis=1)[:, ::-1])
        documents = np.where(scores == -np.inf, -1, self._documents[ranks])
        return Hits(documents.astype(np.int32), scores)


def merge(
    shards: Sequence[Hits],
    offsets: Sequence[int],
    k: int,
    *,
    documents: int,
    tie_order: Int[np.ndarray, " ordered"] | None = None,
) -> Hits:
    """One ranking out of those of the parts of a corpus: the same bytes as one search of all of it.

    Args:
        shards: hits of the same queries, one for each part, at least ``k`` deep or as deep as the part has documents.
        offsets: where the documents of each part start in the corpus.
        k: how many documents to keep.
        documents: how many documents the corpus has.
        tie_order: as ``search`` takes it, for the whole corpus.

    Raises:
        ConfigError: there are no shards, not one offset for each, or ``k`` is below 1.
        ShapeError: the shards have different numbers of queries.
        DataError: a hit lies outside the corpus.
    """
    check_depth(k)
    if not shards or len(shards) != len(offsets):
        raise ConfigError(
            f"merge needs shards and one offset for each: it got {len(shards)} shards and {len(offsets)} offsets."
        )
    lengths = [len(hits) for hits in shards]
    if len(set(lengths)) > 1:
        raise ShapeError(f"All shards must be of the same queries, they have {lengths} queries.")
    best = Best(lengths[0], k, tie_ranks(tie_order, documents))
    for number, (hits, offset) in enumerate(zip(shards, offsets, strict=True)):
        queries, places = np.nonzero(hits.documents >= 0)
        rows = hits.documents[queries, places].astype(np.int64) + offset
        if len(rows) and not (offset >= 0 and rows.max() < documents):
            raise DataError(
                f"Shard {number} starts at document {offset} and holds document {int(rows.max())} of a corpus of "
                f"{documents}. Check the offsets."
            )
        best.offer(queries, rows, hits.scores[queries, places])
    return best.hits()


def _pack(scores: Float32[np.ndarray, " hit"], ranks: Int32[np.ndarray, " hit"]) -> Int64[np.ndarray, " hit"]:
    """Score and rank as one integer. Minus zero becomes zero."""
    bits = (scores + np.float32(0)).view(np.int32)
    ordered: Int64[np.ndarray, " hit"] = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    keys: Int64[np.ndarray, " hit"] = (ordered << 32) - ranks
    return keys


def _unpack(keys: Int64[np.ndarray, "*shape"]) -> tuple[Float32[np.ndarray, "*shape"], Int32[np.ndarray, "*shape"]]:
    """Scores and ranks; -inf and 0 where there is no hit."""
    ordered = ((keys >> 32) + ((keys & 0xFFFFFFFF) != 0)).astype(np.int32)
    ranks = ((ordered.astype(np.int64) << 32) - keys).astype(np.int32)
    scores = np.where(ordered < 0, ordered ^ np.int32(0x7FFFFFFF), ordered).view(np.float32)
    empty = keys == _EMPTY
    return np.where(empty, np.float32(-np.inf), scores), np.where(empty, np.int32(0), ranks)
