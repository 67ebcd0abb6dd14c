"""A filter that is set by how much it drops."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from nearfar.config.component import is_number, require
from nearfar.negatives.calibrate import propose
from nearfar.negatives.candidates import Candidates, Reason
from nearfar.negatives.filters.scores import Percent, ScoreFilter
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Filter

_PERCENT = Percent()


@dataclass(frozen=True, kw_only=True)
class Removing(Filter):
    """Another filter, with the limit at which it drops a share of the candidates that reach it.

    The same number drops one candidate in a hundred for one model and half of them for another; a share does not. The
    limit is a quantile with as few digits as will do, and the account says which it was. All candidates of all queries
    decide about it, so every list is looked at in whole.

    Attributes:
        share: of the candidates that are kept when its turn comes, from 0 to 1. Those without a score count in it.
        filter: what drops them, one that has a limit; its own does not count.
    """

    share: float
    filter: Filter = _PERCENT
    example: ClassVar[str] = "Removing(share=0.05)"

    def __post_init__(self) -> None:
        require(is_number(self.share) and 0 <= self.share <= 1, self, "share", "a number from 0 to 1")
        require(isinstance(self.filter, ScoreFilter), self, "filter", "a filter with a limit, such as Margin")

    @property
    def asks(self) -> tuple[str, ...]:
        """What the other filter goes by."""
        return self.filter.asks

    @property
    def reason(self) -> Reason:  # type: ignore[override]  # every other filter has one for all
        """That of the other filter."""
        return self.filter.reason

    def settled(self, candidates: Candidates) -> ScoreFilter:
        """The other filter with the limit that these candidates give; as it is, where none is left.

        Raises:
            DataError: when no candidate can be compared, for want of scores.
        """
        assert isinstance(self.filter, ScoreFilter)
        return propose(self.filter, self.share, candidates) if candidates.kept.any() else self.filter

    def drops(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which rows to drop."""
        return self.settled(candidates).drops(candidates, material)

    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with a reason for those that it drops."""
        return self.settled(candidates).apply(candidates, material)
