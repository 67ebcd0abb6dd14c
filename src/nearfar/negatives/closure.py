"""What each query is known to be answered by. A candidate that is in it is never a negative (invariant G1)."""

from copy import copy

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt64

from nearfar.data.tables import TRAIN, Dataset
from nearfar.errors import DataError
from nearfar.negatives.candidates import Candidates, Positives, Reason

_WIDTH = 2**32
"""More than there are identities."""


class Closure:
    """The relevant pairs of the training split by the identity of their texts, and nothing of other splits.

    Equal text is equal identity, so a positive under another id, in other case or with other spaces, is in it. In
    labelled data every document of the query's label is.

    Args:
        dataset: the tables, with a split for training.

    Raises:
        DataError: when there is no training split, or no relevant pair in it.
    """

    def __init__(self, dataset: Dataset) -> None:
        if TRAIN not in dataset.qrels:
            raise DataError(
                f"{dataset.name} has no training split to mine for; it has {', '.join(dataset.splits)}. Negatives are "
                "mined for training queries only, so that nothing of dev and test can shape training."
            )
        relevant = dataset.positives(TRAIN)
        starts, documents = dataset.documents_by_node
        count = starts[relevant.node + 1] - starts[relevant.node]
        pair = np.repeat(np.arange(len(relevant)), count)
        within = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
        query, document = relevant.query[pair], documents[starts[relevant.node[pair]] + within]
        self._query_ids, self._document_ids = dataset.identities
        other = self._document_ids[document] != self._query_ids[query]  # own text is no positive in labelled data
        order = np.lexsort((document[other], query[other]))
        self.positives = Positives(query=query[other][order], document=document[other][order])
        if not len(self.positives):
            raise DataError(f"The training split of {dataset.name} has no relevant pair to mine negatives for.")
        self._pairs = np.unique(_pair(query, self._document_ids[document]))

    @property
    def queries(self) -> Int32[np.ndarray, " query"]:
        """The rows of the queries that have a positive, ascending."""
        return np.unique(self.positives.query)

    def holds(self, query: Int32[np.ndarray, " row"], document: Int32[np.ndarray, " row"]) -> Bool[np.ndarray, " row"]:
        """Which pairs of a query row and a document row are known to belong together."""
        return is_in(_pair(query, self._document_ids[document]), self._pairs)

    def is_self(
        self, query: Int32[np.ndarray, " row"], document: Int32[np.ndarray, " row"]
    ) -> Bool[np.ndarray, " row"]:
        """Which documents are the text of the query itself."""
        own: Bool[np.ndarray, " row"] = self._document_ids[document] == self._query_ids[query]
        return own

    def apply(self, candidates: Candidates) -> Candidates:
        """Drop what is relevant, the query's own text, and what an earlier source has proposed."""
        related = self.holds(candidates.query, candidates.document)
        judged = np.zeros(len(candidates), dtype=bool)
        judged[related] = is_in(
            _pair(candidates.query[related], candidates.document[related].astype(np.int64)),
            _pair(self.positives.query, self.positives.document.astype(np.int64)),
        )
        found = candidates.drop(judged, Reason.POSITIVE).drop(related, Reason.DUPLICATE)
        found = found.drop(self.is_self(candidates.query, candidates.document), Reason.SELF)
        return found.drop(_repeated(candidates, self._document_ids[candidates.document]), Reason.REPEATED)

    def with_made(self, identities: Int64[np.ndarray, " made"]) -> "Closure":
        """The same pairs over a document table that goes on with made texts, given by identity."""
        grown = copy(self)
        grown._document_ids = np.concatenate([self._document_ids, identities])
        return grown


def _pair(query: Int32[np.ndarray, " row"], identity: Int64[np.ndarray, " row"]) -> Int64[np.ndarray, " row"]:
    pair: Int64[np.ndarray, " row"] = query.astype(np.int64) * _WIDTH + identity
    return pair


def _repeated(candidates: Candidates, identity: Int64[np.ndarray, " row"]) -> Bool[np.ndarray, " row"]:
    """Rows whose query has the same text in an earlier row of the same list."""
    text = candidates.lists * _WIDTH + identity
    ordered = np.sort(text)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    rows = np.flatnonzero(is_in(text, twice))
    order = rows[np.argsort(text[rows], kind="stable")]
    again = np.zeros(len(candidates), dtype=bool)
    again[order[1:]] = text[order[1:]] == text[order[:-1]]
    return again


def is_in(keys: Int64[np.ndarray, " row"], known: Int64[np.ndarray, " known"]) -> Bool[np.ndarray, " row"]:
    """As ``np.isin``, which sorts: quick where most keys are not known, by a table of hashes that rules them out."""
    found = np.zeros(len(keys), dtype=bool)
    if not len(known):
        return found
    bits = max(10, (16 * len(known)).bit_length())
    table = np.zeros(2**bits, dtype=bool)
    table[_hash(known, bits)] = True
    near, ordered = np.flatnonzero(table[_hash(keys, bits)]), np.sort(known)
    place = np.searchsorted(ordered, keys[near]).clip(max=len(ordered) - 1)
    found[near] = ordered[place] == keys[near]
    return found


def _hash(keys: Int64[np.ndarray, " row"], bits: int) -> UInt64[np.ndarray, " row"]:
    """Numbers of so many bits (Knuth, multiplicative hashing)."""
    return (keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits)
