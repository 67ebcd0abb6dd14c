"""Average precision from histograms of distances."""

from dataclasses import dataclass

import torch

from nearfar.config.component import require
from nearfar.objectives.criteria.rows import of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class HistogramPrecision(Criterion):
    """1 minus the average precision of a row whose columns fall into bins of squared distance (FastAP).

    A squared distance ``2 - 2 Z`` falls to the two edges around it, in proportion. All columns of an edge count as one
    place, so that time and memory are rows x columns x edges instead of rows x columns x columns.

    Attributes:
        bins: number of bins between 0 and 4.
    """

    bins: int = 10

    def __post_init__(self) -> None:
        require(isinstance(self.bins, int) and self.bins > 0, self, "bins", "a whole number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row with a positive."""
        z, width = problem.z, 4 / self.bins
        edges = torch.arange(self.bins + 1, dtype=z.dtype, device=z.device)
        shares = (1 - ((2 - 2 * z)[:, :, None] / width - edges).abs()).clamp(min=0)
        here, all_here = (
            torch.where(mask[:, :, None], shares, 0.0).sum(dim=1) for mask in (problem.positive, problem.valid)
        )
        so_far = torch.where(here > 0, all_here.cumsum(dim=1), 1.0)
        precision = (here * here.cumsum(dim=1) / so_far).sum(dim=1)
        return of_rows(problem, 1 - precision / problem.positive.sum(dim=1).clamp(min=1), problem.positive.any(dim=1))
