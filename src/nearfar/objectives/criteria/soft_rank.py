"""Average precision and nDCG with soft ranks: how many columns are above a relevant one, counted by a sigmoid."""

from dataclasses import dataclass
from typing import Literal

import torch

from nearfar.config.component import require
from nearfar.objectives.criteria.rows import front, gains_of, ideal_gain, masked_mean, of_rows
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class SoftRank(Criterion):
    """1 minus a measure of ranking, with ``rank(j) = 1 + sum of sigmoid(Z[k] - Z[j])`` over the other columns k.

    As the temperature of the logits goes to 0 it becomes the measure itself. Where the gaps are many temperatures wide
    there is no gradient.

    Attributes:
        measure: ``average_precision`` of the positives, or ``ndcg`` with gain 2^grade - 1.
    """

    measure: Literal["average_precision", "ndcg"] = "average_precision"

    def __post_init__(self) -> None:
        require(self.measure in ("average_precision", "ndcg"), self, "measure", "average_precision or ndcg")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row with a positive, and for nDCG something to gain."""
        gains, precision = gains_of(problem.grades), self.measure == "average_precision"
        places, chosen = front(problem.positive if precision else problem.valid & (gains != 0))
        columns = torch.arange(problem.z.shape[1], device=problem.z.device)
        others = problem.valid[:, None, :] & (columns != places[:, :, None])
        above = torch.sigmoid(problem.z[:, None, :] - problem.z.gather(1, places)[:, :, None])
        rank = 1 + torch.where(others, above, 0.0).sum(dim=2)
        kept = problem.positive.any(dim=1)
        if precision:
            among = 1 + torch.where(others & problem.positive[:, None, :], above, 0.0).sum(dim=2)
            return of_rows(problem, 1 - masked_mean(among / rank, chosen), kept)
        best = ideal_gain(gains, problem.valid)
        kept = kept & (best > 0)
        found = torch.where(chosen, gains.gather(1, places) / torch.log2(1 + rank), 0.0).sum(dim=1)
        return of_rows(problem, 1 - found / torch.where(kept, best, 1.0), kept)
