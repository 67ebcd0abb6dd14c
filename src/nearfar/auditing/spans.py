"""The longest run of words that a text shares with any training text."""

import numpy as np
from jaxtyping import Int64

from nearfar.auditing.words import Words

SEED = 8
"""Runs shorter than this are not looked for: they are shared by chance."""

_COMMON = 100
"""Of a run of ``SEED`` words that occurs more often in the training texts, so many places are followed."""


def longest_shared(
    held: Words, training: Words, seed: int = SEED
) -> tuple[Int64[np.ndarray, " held"], Int64[np.ndarray, " held"]]:
    """The length in words of the longest run that each text shares with one training text, 0 below ``seed``.

    ConTAM (Singh et al., arXiv 2411.03923) found the longest contaminated span to tell more than the union of all.
    Shared runs of ``seed`` words are found by their hash; those that follow one another on both sides are one run.

    Returns:
        The lengths, and the training text of each run (the first that has it), -1 where there is none.
    """
    length = np.zeros(len(held), dtype=np.int64)
    source = np.full(len(held), -1, dtype=np.int64)
    at_held, at_training = _seeds(held, training, seed)
    if not len(at_held):
        return length, source
    along = np.lexsort((at_held, at_training - at_held))  # seeds of one run are neighbours on a diagonal
    at_held, at_training = at_held[along], at_training[along]
    texts, origins = held.text_of[at_held], training.text_of[at_training]
    goes_on = np.ones(len(at_held) - 1, dtype=np.bool_)
    for places, apart in ((at_held, 1), (at_training, 1), (texts, 0), (origins, 0)):
        goes_on &= np.diff(places) == apart
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    lengths = np.diff(np.append(starts, len(at_held))) + seed - 1
    text, origin = texts[starts], origins[starts]
    best = np.lexsort((origin, -lengths, text))
    best = best[np.unique(text[best], return_index=True)[1]]
    length[text[best]], source[text[best]] = lengths[best], origin[best]
    return length, source


def _seeds(held: Words, training: Words, seed: int) -> tuple[Int64[np.ndarray, " _hit"], Int64[np.ndarray, " _hit"]]:
    """Places in both, one entry for each pair of equal runs of ``seed`` words."""
    numbers, places = held.sequences(seed)
    known, origins = training.sequences(seed)
    keep = np.isin(known, numbers)
    known, origins = known[keep], origins[keep]
    order = np.argsort(known, kind="stable")
    known, origins = known[order], origins[order]
    first = np.searchsorted(known, numbers)
    count = np.minimum(np.searchsorted(known, numbers, side="right") - first, _COMMON)
    hits = np.repeat(first, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(places, count), origins[hits]
