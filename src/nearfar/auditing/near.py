"""Pairs of texts that share most of their words and pairs of words: an exact join, without comparing all with all."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy import sparse

from nearfar.auditing.words import Words

COMMON = 100
"""Texts that share a rare piece are all compared with one another up to so many; beyond, each with the next few."""

FEW = 8
_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of texts, each once, ``first`` before ``second``, sorted.

    Attributes:
        first, second: rows.
        similarity: the share of their pieces that both have.
    """

    first: Int64[np.ndarray, " pair"]
    second: Int64[np.ndarray, " pair"]
    similarity: Float64[np.ndarray, " pair"]

    def __len__(self) -> int:
        return len(self.first)

    def both_ways(self) -> tuple[Int64[np.ndarray, " _way"], Int64[np.ndarray, " _way"], Float64[np.ndarray, " _way"]]:
        """Every pair from either side: text, other text, similarity."""
        return (
            np.concatenate([self.first, self.second]),
            np.concatenate([self.second, self.first]),
            np.concatenate([self.similarity, self.similarity]),
        )


def similar_pairs(words: Words, similarity: float, order: Int64[np.ndarray, " text"]) -> Pairs:
    """All pairs of texts whose sets of words and of neighbouring words have a Jaccard similarity of at least this.

    Of two sets that similar, the rarest few members of one hold a member of the other's rarest few (Chaudhuri, Ganti
    and Kaushik, ICDE 2006: prefix filtering), so only texts that share one are compared, and those exactly. Where such
    a member is in more than ``COMMON`` texts (texts from one mould), each is compared with the next ``FEW`` only.

    Args:
        words: the texts; one without words is similar to none.
        similarity: above 0, at most 1.
        order: the place of each text where an order is needed, so that rows may stand in any.
    """
    sets = _sets(words)
    sizes = np.diff(sets.indptr).astype(np.int64)
    keys = _distinct(np.concatenate([np.zeros(0, dtype=np.int64), *_candidates(sets, sizes, similarity, order)]))
    first, second = np.divmod(keys, max(len(words), 1))
    shared = np.concatenate(
        [
            np.zeros(0),
            *(_shared(sets, first[at : at + _AT_ONCE], second[at : at + _AT_ONCE]) for at in _cuts(len(keys))),
        ]
    )
    found = shared / np.maximum(sizes[first] + sizes[second] - shared, 1)
    keep = found >= similarity - 1e-12
    return Pairs(first[keep], second[keep], found[keep])


def _sets(words: Words) -> sparse.csr_matrix:
    """One row a text, a one for each distinct word or pair of neighbours; columns from the rarest to the commonest."""
    single, at_single = words.sequences(1)
    double, at_double = words.sequences(2)
    text_of = words.text_of
    texts = np.concatenate([text_of[at_single], text_of[at_double]])
    known, numbers = np.unique(np.concatenate([single, double]), return_inverse=True)
    width = max(len(known), 1)
    members = _distinct(texts * width + numbers.reshape(-1))
    texts, numbers = np.divmod(members, width)
    place = np.empty(width, dtype=np.int64)
    place[np.argsort(np.bincount(numbers, minlength=width), kind="stable")] = np.arange(width)
    members = np.sort(texts * width + place[numbers])
    starts = np.searchsorted(members, np.arange(len(words) + 1) * width)
    return sparse.csr_matrix(
        (np.ones(len(members), dtype=np.int32), members % width, starts), shape=(len(words), width)
    )


def _candidates(
    sets: sparse.csr_matrix, sizes: Int64[np.ndarray, " text"], similarity: float, order: Int64[np.ndarray, " text"]
) -> Iterator[Int64[np.ndarray, " _candidate"]]:
    """Pairs that share a rare member and are of fitting size, as ``first * texts + second``; some more than once."""
    texts = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(texts)) - np.repeat(sets.indptr[:-1].astype(np.int64), sizes)
    rare = within < (sizes - np.ceil(similarity * sizes - 1e-9).astype(np.int64) + 1)[texts]
    holder, member = texts[rare], sets.indices[rare].astype(np.int64)
    by_member = np.lexsort((order[holder], member))
    holder, member = holder[by_member], member[by_member]
    held = np.bincount(member, minlength=1)[member]
    places = np.arange(len(holder))
    for offset in range(1, COMMON):
        places = places[places + offset < len(holder)]
        places = places[member[places] == member[places + offset]]
        if offset > FEW:
            places = places[held[places] <= COMMON]
        if not len(places):
            return
        one, other = holder[places], holder[places + offset]
        fits = np.minimum(sizes[one], sizes[other]) >= similarity * np.maximum(sizes[one], sizes[other]) - 1e-9
        one, other = one[fits], other[fits]
        yield np.minimum(one, other) * len(sizes) + np.maximum(one, other)


def _shared(
    sets: sparse.csr_matrix, first: Int64[np.ndarray, " pair"], second: Int64[np.ndarray, " pair"]
) -> Float64[np.ndarray, " pair"]:
    """How many members both texts of each pair have."""
    both = sets[first].multiply(sets[second]).sum(axis=1)
    return np.asarray(both, dtype=np.float64).reshape(-1)


def _distinct(values: Int64[np.ndarray, " value"]) -> Int64[np.ndarray, " _distinct"]:
    """Each value once, ascending. ``np.unique`` goes over a hash table, which is slower for millions."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    distinct: Int64[np.ndarray, " _distinct"] = ordered[first]
    return distinct


def _cuts(length: int) -> range:
    return range(0, length, _AT_ONCE)


def best_partner(
    text: Int64[np.ndarray, " pair"],
    other: Int64[np.ndarray, " pair"],
    similarity: Float64[np.ndarray, " pair"],
    order: Int64[np.ndarray, " text"],
) -> Int64[np.ndarray, " _distinct"]:
    """For each distinct ``text``, which entry holds its most similar ``other``; of equal ones the first in order."""
    by_text = np.lexsort((order[other], -similarity, text))
    first = np.ones(len(by_text), dtype=np.bool_)
    first[1:] = text[by_text][1:] != text[by_text][:-1]
    return by_text[first]
