"""C8, regression of margins: the distance between two scores should be the one that a teacher sees."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nearfar.config.component import require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome
from nearfar.objectives.problem import Problem
from nearfar.types import Origin


@dataclass(frozen=True, kw_only=True)
class Margins(Criterion):
    """The squared difference of student and teacher in the margin of every positive over every negative of a row.

    ``mean_{p, n} ((s_p - s_n) - (T_p - T_n)) ** 2``. A constant that is added to all scores of a row, by student or
    teacher, changes nothing; the scale of the teacher matters. A pair without a finite teacher score is left out.

    Attributes:
        negatives: which ones: ``judged`` the judged ones, ``own`` the row's own hard negatives, ``others`` those of the
            batch that are not its own, of which hard negatives and the rest have means of their own; then the
            mean of these. With ``judged`` a positive must be judged too.
        teacher: ``given`` as scores, or the products of the vectors of the ``guide``, another encoder.
    """

    negatives: Literal["judged", "own", "others"] = "judged"
    teacher: Literal["given", "guide"] = "given"

    def __post_init__(self) -> None:
        known = self.negatives in ("judged", "own", "others")
        require(known, self, "negatives", "judged or own or others")
        require(self.teacher in ("given", "guide"), self, "teacher", "given or guide")

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]  # it depends on a field
        """The keyword inputs that it cannot do without."""
        return frozenset({"teacher"} if self.teacher == "given" else {"guide_anchors", "guide_candidates"})

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row with a positive and such a negative."""
        teacher = self._scores(problem)
        scored = torch.isfinite(teacher)
        gaps = problem.z - torch.where(scored, teacher, 0.0)
        positive, negative = problem.positive & scored, problem.negative & scored
        if self.negatives == "judged":
            groups = [negative & problem.judged]
            positive = positive & problem.judged
        elif self.negatives == "own":
            groups = [negative & problem.own]
        else:
            hard = (problem.origins == Origin.HARD)[None, :]
            groups = [negative & ~problem.own & hard, negative & ~hard]
        each = torch.stack([_squares(gaps, positive, group) for group in groups])
        known = torch.stack([positive.any(dim=1) & group.any(dim=1) for group in groups])
        return Outcome(torch.where(known, each, 0.0).sum(dim=0) / known.sum(dim=0).clamp(min=1), known.any(dim=0))

    def _scores(self, problem: Problem) -> Float[Tensor, "row column"]:
        """What the teacher says, not a number where it does not."""
        if self.teacher == "given":
            assert problem.teacher is not None
            return problem.teacher
        assert problem.guide_anchors is not None
        assert problem.guide_candidates is not None
        made = (problem.origins == Origin.MIXED) | (problem.origins == Origin.QUEUE)  # the guide has not seen these
        return (problem.guide_anchors @ problem.guide_candidates.T).masked_fill(made, float("nan"))


def _squares(
    gaps: Float[Tensor, "row column"], positive: Bool[Tensor, "row column"], negative: Bool[Tensor, "row column"]
) -> Float[Tensor, " row"]:
    """The mean over a positive p and a negative n of ``(gaps[p] - gaps[n]) ** 2``: two variances and a square."""
    means, spreads = [], []
    for mask in (positive, negative):
        count = mask.sum(dim=1).clamp(min=1)
        mean = torch.where(mask, gaps, 0.0).sum(dim=1) / count
        means.append(mean)
        spreads.append(torch.where(mask, gaps - mean[:, None], 0.0).square().sum(dim=1) / count)
    return (means[0] - means[1]).square() + spreads[0] + spreads[1]
