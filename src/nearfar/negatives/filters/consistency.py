"""Queries whose positive a retriever does not find."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from nearfar.config.component import is_whole, require
from nearfar.negatives.candidates import Candidates, Reason
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Filter


@dataclass(frozen=True, kw_only=True)
class Consistency(Filter):
    """Drops all candidates of a query none of whose positives is among the first of a source (KaLM-V2, 2506.20923).

    The pair may be noise; it may also be hard and right, which is what this costs.

    Attributes:
        top: how many places of the source's list count; no more than its depth do.
        source: which of the job's sources, by position from 0.
    """

    top: int = 50
    source: int = 0
    reason: ClassVar[Reason] = Reason.CONSISTENCY

    def __post_init__(self) -> None:
        require(is_whole(self.top) and self.top > 0, self, "top", "a whole number above 0")
        require(is_whole(self.source) and self.source >= 0, self, "source", "a whole number of at least 0")

    def drops(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """All rows of such queries."""
        relevant = np.isin(candidates.reason, (Reason.POSITIVE, Reason.DUPLICATE))
        found = relevant & (candidates.source == self.source) & (candidates.rank < self.top)
        return ~np.isin(candidates.query, candidates.query[found])
