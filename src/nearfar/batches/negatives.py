"""Which hard negatives of a pair join a step: mined ones, and those that the data calls not relevant."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from nearfar.batches.relate import Documents, Judgements, Pairs, Queries
from nearfar.data.tables import Mined

How = Literal["random", "first", "groups"]


class HardNegatives:
    """Chooses the hard negatives of each pair, the same ones whenever it is asked for the same epoch.

    Lists may have any length, none as well; nothing is filled up.

    Args:
        judgements: of the split that is trained on.
        mined: what a mining job chose, None without one; nothing in it is relevant.
        limit: at most so many for each list.
        how: ``random`` draws from mined and judged ones alike, anew each epoch; ``first`` takes the mined ones in their
            order; ``groups`` takes the mined ones of one group each epoch, one group after the other. Where those two
            find fewer than the limit, judged ones are drawn.
        seed: decides what is drawn.
    """

    def __init__(self, judgements: Judgements, mined: Mined | None, limit: int, how: How, seed: int) -> None:
        self._judgements, self._mined = judgements, mined
        self._limit, self._how, self._seed = limit, how, seed
        self._groups = 1 if mined is None else 1 + int(mined.group.max(initial=0))

    def of(self, query: int, positive: int, epoch: int) -> tuple[list[int], list[int]]:
        """The negatives of a query beside one of its positives.

        Args:
            query: its row.
            positive: the row of the document, which counts where lists are for pairs.
            epoch: in which it is asked.

        Returns:
            Rows of mined documents, and nodes that were judged.
        """
        mined, salt = self._list(query, positive, epoch)
        judged = self._judgements.negatives(query)
        if self._how == "random" and len(mined):
            both = len(mined) + len(judged)
            kept = np.arange(both)
            if both > self._limit:
                kept = np.random.default_rng((self._seed, epoch, query, 1, salt)).choice(both, self._limit, False)
            first, second = kept[kept < len(mined)], kept[kept >= len(mined)] - len(mined)
            return mined[first].tolist(), judged[second].tolist()
        mined = mined[: self._limit]
        room = self._limit - len(mined)
        if len(judged) > room:
            judged = np.random.default_rng((self._seed, epoch, query, 1)).choice(judged, room, replace=False)
        return mined.tolist(), judged.tolist()

    def _list(self, query: int, positive: int, epoch: int) -> tuple[np.ndarray, int]:
        """The mined documents of a list, and a number of the list among those of its query."""
        if self._mined is None:
            return np.zeros(0, dtype=np.int32), 0
        rows = slice(*np.searchsorted(self._mined.query, [query, query + 1]))
        for_pair = self._mined.positive[rows]
        chosen = (for_pair < 0) | (for_pair == positive)
        if self._how == "groups":
            chosen &= self._mined.group[rows] == epoch % self._groups
        return self._mined.document[rows][chosen], positive + 1 if (for_pair >= 0).any() else 0

    def among(self, queries: Queries, documents: Documents) -> Pairs:
        """Which anchors and candidates of a step are a query and one of its mined negatives."""
        if self._mined is None:
            none = np.zeros(0, dtype=np.int64)
            return none, none
        return _found(queries, documents, self._mined.query, self._mined.document)[:2]

    def ignored(self, queries: Queries, documents: Documents) -> Pairs:
        """Which anchors and candidates of a step may belong together, so that they are no negatives."""
        if self._mined is None:
            none = np.zeros(0, dtype=np.int64)
            return none, none
        return _found(queries, documents, self._mined.ignored_query, self._mined.ignored_document)[:2]

    def weights(self, queries: Queries, documents: Documents) -> np.ndarray:
        """The weights of all pairs of a step as a matrix: those of mined negatives, 1 for the others.

        Where several lists of a query weigh a document, the last one counts.
        """
        matrix = np.ones((len(queries), len(documents)), dtype=np.float32)
        if self._mined is not None:
            anchors, columns, rows = _found(queries, documents, self._mined.query, self._mined.document)
            matrix[anchors, columns] = self._mined.weight[rows]
        return matrix


def _found(
    queries: Queries, documents: Documents, query: np.ndarray, document: np.ndarray
) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
    """Where listed pairs of a query and a document, sorted by query, are in a step: anchors, candidates, list rows."""
    first, last = np.searchsorted(query, queries, "left"), np.searchsorted(query, queries, "right")
    count = last - first
    anchors = np.repeat(np.arange(len(queries)), count)
    ends = np.cumsum(count)
    rows = np.arange(int(count.sum())) - np.repeat(ends - count, count) + np.repeat(first, count)
    order = np.argsort(documents, kind="stable")
    place = np.searchsorted(documents[order], document[rows]).clip(max=len(documents) - 1)
    columns = order[place]
    there: Bool[np.ndarray, " pair"] = documents[columns] == document[rows]
    return anchors[there], columns[there].astype(np.int64), rows[there]
