"""The mining of the Multi-Similarity loss: keep what the other side nearly reaches."""

from dataclasses import dataclass, replace

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Mask
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class NearlyReached(Mask):
    """Keeps the negatives that come within a margin of the weakest positive, and the reverse (arXiv 1904.06627).

    Both sides are judged by the other one as it was before. Positives that are copies of the anchor are taken out
    first. A row in which one side is empty loses the other side too.

    Attributes:
        margin: how close, in similarity.
        copy_from: a positive of at least this similarity is a copy; none for no such rule.
    """

    margin: float = 0.1
    copy_from: float | None = 1 - 1e-5

    def __post_init__(self) -> None:
        require(is_number(self.margin), self, "margin", "a number")
        require(self.copy_from is None or is_number(self.copy_from), self, "copy_from", "a number or none")

    def apply(self, problem: Problem, memory: Memory) -> Problem:
        """The problem with hard pairs only."""
        scores, negative = problem.scores.detach(), problem.negative
        positive = problem.positive if self.copy_from is None else problem.positive & (scores < self.copy_from)
        infinite = float("inf")
        weakest = scores.masked_fill(~positive, infinite).amin(dim=1, keepdim=True)
        strongest = scores.masked_fill(~negative, -infinite).amax(dim=1, keepdim=True)
        # Against an empty side nothing is hard: infinity is reached by nobody.
        pulled = positive & (scores - self.margin < strongest)
        pushed = negative & (scores + self.margin > weakest)
        return replace(problem, positive=pulled, valid=pulled | pushed)
