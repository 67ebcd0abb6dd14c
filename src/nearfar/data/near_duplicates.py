"""Near-duplicate texts: those that share most of their word sequences with an earlier one."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

_TOO_COMMON = 100
"""A sequence in more texts than this tells nothing (a licence, a boilerplate line) and would cost most of the time."""


def first_of_kind(texts: Sequence[str], *, similarity: float = 0.7, words: int = 4) -> Bool[np.ndarray, " text"]:
    """Which texts to keep so that no two kept ones are near-duplicates: of each pair, the earlier.

    Two texts are near-duplicates when the Jaccard similarity of their sets of ``words``-word sequences reaches
    ``similarity``. Sequences that occur in more than a hundred texts are left out of the sets; texts with fewer words
    than a sequence are kept.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    sequences = HashingVectorizer(
        ngram_range=(words, words),
        token_pattern=r"\w+|[^\w\s]",
        binary=True,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    ).transform(texts)
    common = np.asarray(sequences.sum(axis=0)).ravel() > _TOO_COMMON
    sequences = sequences[:, np.flatnonzero(~common)].tocsr()
    sizes = np.asarray(sequences.sum(axis=1)).ravel()
    shared = (sequences @ sequences.T).tocoo()
    later = shared.row > shared.col
    first, second, both = shared.col[later], shared.row[later], shared.data[later]
    near = both >= similarity * (sizes[first] + sizes[second] - both)
    keep = np.ones(len(texts), dtype=np.bool_)
    order = np.lexsort((first[near], second[near]))
    for earlier, text in zip(first[near][order].tolist(), second[near][order].tolist(), strict=True):
        if keep[earlier]:
            keep[text] = False
    return keep
