"""C4, the pointwise link: each pair is judged on its own, as positive or as negative."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Pointwise(Criterion):
    """Binary cross-entropy of pairs: ``-log p`` for a positive, ``-log(1 - p)`` for a negative, ``p = sigmoid(z)``.

    Negatives count with their log-weights, positives with their shares, where a part set them.

    Attributes:
        reduction: what becomes of the pairs of a row: ``sum``; ``mean`` over its usable pairs; ``columns``, the sum
            over the number of columns, usable or not; ``sides``, the mean of its positives plus that of its negatives.
        over: ``rows``: rows with a positive count, for ``sides`` those that have a negative too; ``batch``: all usable
            pairs of the batch are reduced at once, into one number.
        targets: ``positives``, or ``grades`` between 0 and 1: a pair counts as positive by its grade, and as negative
            by the rest.
        positive_weight, negative_weight: multiply the two sides.
        positive_power, negative_power: focal factors ``(1 - p) ** power`` of positives and ``p ** power`` of negatives.
        weighted_power: the weight of a negative is added to its power.
        clip: probabilities of negatives are lowered by it first, to no less than 0, so that easy ones count nothing.
        detach: no gradient flows through the focal factors.
    """

    reduction: Literal["sum", "mean", "columns", "sides"] = "sum"
    over: Literal["rows", "batch"] = "rows"
    targets: Literal["positives", "grades"] = "positives"
    positive_weight: float = 1.0
    negative_weight: float = 1.0
    positive_power: float = 0.0
    negative_power: float = 0.0
    weighted_power: bool = False
    clip: float = 0.0
    detach: bool = True
    detached: ClassVar[tuple[str, ...]] = ("focal factors, with detach",)

    def __post_init__(self) -> None:
        words = ("sum", "mean", "columns", "sides")
        require(self.reduction in words, self, "reduction", "sum, mean, columns or sides")
        require(self.over in ("rows", "batch"), self, "over", "rows or batch")
        require(self.targets in ("positives", "grades"), self, "targets", "positives or grades")
        graded = self.targets == "grades" and self.reduction == "sides"
        require(not graded, self, "reduction", "sum, mean or columns with grades as targets")
        for field in ("positive_weight", "negative_weight", "positive_power", "negative_power"):
            value = getattr(self, field)
            require(is_number(value) and value >= 0, self, field, "a number of at least 0")
        require(is_number(self.clip) and 0 <= self.clip < 1, self, "clip", "a number from 0 to below 1")

    @property
    def scope(self) -> Scope:  # type: ignore[override]  # depends on a field here
        """``batch`` where all pairs are reduced at once."""
        return "batch" if self.over == "batch" else "rows"

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row, or of all."""
        pulled, pushed = (terms.sum(dim=1) for terms in self._terms(problem))
        positive, negative = problem.positive.sum(dim=1), problem.negative.sum(dim=1)
        columns = torch.full_like(positive, problem.valid.shape[1])
        whole = self.over == "batch"
        if whole:
            pulled, pushed, positive, negative, columns = (
                each.sum() for each in (pulled, pushed, positive, negative, columns)
            )
        if self.reduction == "sides":
            losses = pulled / positive.clamp(min=1) + pushed / negative.clamp(min=1)
        else:
            counts = {"sum": torch.ones_like(positive), "mean": positive + negative, "columns": columns}
            losses = (pulled + pushed) / counts[self.reduction].clamp(min=1)
        if whole:
            return of_the_whole(losses, problem.valid.any(dim=1))
        kept = (positive > 0) & (negative > 0) if self.reduction == "sides" else positive > 0
        return Outcome(torch.where(kept, losses, 0.0), kept)

    def _terms(self, problem: Problem) -> tuple[Float[Tensor, "row column"], Float[Tensor, "row column"]]:
        """What each pair costs as a positive and as a negative, 0 where it is not one."""
        logits = problem.z
        right = torch.sigmoid(-logits)
        pulled = self._focal(right, self.positive_power) * softplus(-logits)
        weight = torch.ones_like(logits) if problem.bias is None else problem.bias.exp()
        power = self.negative_power + weight.detach() if self.weighted_power else self.negative_power
        pushed = -torch.clamp(right + self.clip, max=1.0).log() if self.clip else softplus(logits)
        pushed = self._focal((torch.sigmoid(logits) - self.clip).clamp(min=0.0), power) * pushed * weight
        if problem.shares is not None:
            pulled = pulled * problem.shares * problem.positive.sum(dim=1, keepdim=True)
        if problem.importance is not None:
            pulled, pushed = problem.importance[:, None] * pulled, problem.importance[:, None] * pushed
        share = problem.positive.to(logits.dtype)
        if self.targets == "grades":
            share = problem.grades.clamp(0.0, 1.0)
        return (
            torch.where(problem.valid, self.positive_weight * share * pulled, 0.0),
            torch.where(problem.valid, self.negative_weight * (1 - share) * pushed, 0.0),
        )

    def _focal(
        self, wrong: Float[Tensor, "row column"], power: float | Float[Tensor, "row column"]
    ) -> float | Float[Tensor, "row column"]:
        """The focal factor of pairs whose probability of being wrong is given."""
        if not isinstance(power, Tensor) and power == 0:
            return 1.0
        # Above 0, since a power below 1 has an infinite slope there.
        factor = wrong.clamp(min=torch.finfo(wrong.dtype).tiny) ** power
        return factor.detach() if self.detach else factor
