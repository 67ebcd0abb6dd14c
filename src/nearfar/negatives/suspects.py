"""Candidates that filters dropped because they may be relevant: no negatives of their query in a batch either."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from nearfar.negatives.candidates import Candidates
from nearfar.negatives.closure import is_in
from nearfar.negatives.filters.scores import AtLeast
from nearfar.negatives.parts import Filter
from nearfar.negatives.reasons import GROUPS, SUSPECTED


def suspects(
    candidates: Candidates, filters: Sequence[Filter], most: int, by: str | None = None
) -> Bool[np.ndarray, " row"]:
    """Which candidates are to be ignored wherever they meet their query in training.

    Not what ``AtLeast`` finds too easy, and not what another list of the same query keeps as a negative.

    Args:
        candidates: after all parts.
        filters: that dropped them.
        most: at most so many of each list, the hardest.
        by: the score by which lists are ordered, None for the ranks of the sources.
    """
    found = suspected(candidates, filters)
    pairs = candidates.query.astype(np.int64) * (1 + int(candidates.document.max(initial=0))) + candidates.document
    found &= ~is_in(pairs, pairs[candidates.kept])
    return found & (candidates.places(by, found) < most)


def suspected(candidates: Candidates, filters: Sequence[Filter]) -> Bool[np.ndarray, " row"]:
    """Which candidates some filters dropped because they may be relevant, wherever else they stand."""
    reasons = {part.reason for part in filters if not isinstance(part, AtLeast)} & set(GROUPS[SUSPECTED])
    found: Bool[np.ndarray, " row"] = np.isin(candidates.reason, sorted(reasons))
    return found
