"""Which ranks may be kept."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from nearfar.config.component import is_whole, require
from nearfar.negatives.candidates import Candidates, Reason
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Filter


@dataclass(frozen=True, kw_only=True)
class Window(Filter):
    """Drops the ranks outside of ``first`` to ``last``, counted from 0; ``last`` itself is outside.

    Attributes:
        first: the first rank that is kept.
        last: the rank behind the last that is kept; none for no end.
        ranks: kept counts what is left of a list when the window's turn comes, over all sources; raw counts the list
            of each source as it came, positives and all that was dropped among them.
        by: for ``ranks=kept``, the score that orders a list, highest first; none for the ranks of the sources.
    """

    first: int = 0
    last: int | None = None
    ranks: str = "kept"
    by: str | None = None
    reason: ClassVar[Reason] = Reason.WINDOW

    def __post_init__(self) -> None:
        require(is_whole(self.first) and self.first >= 0, self, "first", "a whole number of at least 0")
        behind = self.last is None or (is_whole(self.last) and self.last > self.first)
        require(behind, self, "last", f"a whole number above first ({self.first}), or none")
        require(self.ranks in ("kept", "raw"), self, "ranks", "kept or raw")
        require(self.by is None or self.ranks == "kept", self, "by", "none where ranks are raw")

    def drops(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Rows outside."""
        ranks = candidates.rank if self.ranks == "raw" else candidates.places(self.by)
        return (ranks < self.first) | (ranks >= (np.inf if self.last is None else self.last))
