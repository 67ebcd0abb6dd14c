"""What becomes of candidates that look relevant, where dropping them is not enough."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from nearfar.config.component import Component, is_number, require
from nearfar.negatives.candidates import Candidates, Label, Reason
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Relabel

NOT_FOR_ITS_SCORE = (
    Reason.POSITIVE,
    Reason.DUPLICATE,
    Reason.SELF,
    Reason.REPEATED,
    Reason.CONSISTENCY,
    Reason.CONTAMINATED,
    Reason.QUERY,
)
"""Reasons that stay whatever the score: the candidate is no document to learn from, or is known already."""


@dataclass(frozen=True, kw_only=True)
class ToPositive(Relabel):
    """Makes a positive of what scores high, in all lists of its query (RocketQA, 2010.08191; RLHN, 2505.16967).

    It does so with candidates that are kept, and with those that a filter dropped.

    Attributes:
        at_least: the score from which on a candidate is relevant. One without the score never is.
        by: name of the score.
    """

    at_least: float = 0.9
    by: str = "cross_encoder"

    def __post_init__(self) -> None:
        _check(self, self.at_least)

    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with the label ``POSITIVE`` and the reason ``RELABELLED`` for some."""
        open_to_it = _open(candidates)
        pairs = candidates.query.astype(np.int64) * 2**32 + candidates.document
        moved = open_to_it & np.isin(pairs, pairs[open_to_it & (candidates.score(self.by) >= self.at_least)])
        return replace(
            candidates,
            label=np.where(moved, np.int8(Label.POSITIVE), candidates.label),
            reason=np.where(moved, np.int8(Reason.RELABELLED), candidates.reason),
        )


@dataclass(frozen=True, kw_only=True)
class DropQuery(Relabel):
    """Drops all candidates of a query that has one which scores high (RLHN, 2505.16967).

    Attributes:
        at_least: the score from which on a candidate is relevant. One without the score never is.
        by: name of the score.
    """

    at_least: float = 0.9
    by: str = "cross_encoder"

    def __post_init__(self) -> None:
        _check(self, self.at_least)

    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with the reason ``QUERY`` for what such queries had left."""
        relevant = _open(candidates) & (candidates.score(self.by) >= self.at_least)
        return candidates.drop(np.isin(candidates.query, candidates.query[relevant]), Reason.QUERY)


def _check(component: Component, at_least: float) -> None:
    require(is_number(at_least), component, "at_least", "a number")


def _open(candidates: Candidates) -> Bool[np.ndarray, " row"]:
    """Candidates that are kept, or were dropped for a score or a rank."""
    return ~np.isin(candidates.reason, NOT_FOR_ITS_SCORE)
