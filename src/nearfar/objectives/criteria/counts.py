"""Confusion-matrix counts made soft: measures of a batch of decisions that can be trained."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.config.component import is_number, require
from nearfar.objectives.memory import Memory
from nearfar.objectives.part import Criterion, Outcome, Scope, of_the_whole
from nearfar.objectives.problem import Problem

Measure = Literal["f_beta", "g_mean", "balanced_accuracy"]


@dataclass(frozen=True, kw_only=True)
class SoftCounts(Criterion):
    """1 minus a measure of the soft confusion counts over all usable pairs of the batch.

    The probability ``p = sigmoid(z)`` of a pair becomes the soft decision ``sigmoid(sharpness * (p - 1/2))``. Far from
    1/2 a decision has hardly any gradient; in single precision it is exactly 1 above .73 with a sharpness of 73.

    Attributes:
        measure: ``f_beta``; ``g_mean``, the geometric mean of the success rates of both sides; ``balanced_accuracy``,
            their mean.
        beta: how much more recall counts than precision; above 0.
        sharpness: the slope of a decision is a fourth of it at most; above 0.
    """

    measure: Measure = "f_beta"
    beta: float = 1.0
    sharpness: float = 73.0
    scope: ClassVar[Scope] = "batch"

    def __post_init__(self) -> None:
        words = ("f_beta", "g_mean", "balanced_accuracy")
        require(self.measure in words, self, "measure", "f_beta, g_mean or balanced_accuracy")
        require(is_number(self.beta) and self.beta > 0, self, "beta", "a number above 0")
        require(is_number(self.sharpness) and self.sharpness > 0, self, "sharpness", "a number above 0")

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of the batch; 0 where it has no positive, or no negative and the measure needs one."""
        decided = torch.sigmoid(self.sharpness * (torch.sigmoid(problem.z) - 0.5))
        hits = torch.where(problem.positive, decided, 0.0).sum()
        misses = torch.where(problem.positive, 1 - decided, 0.0).sum()
        alarms = torch.where(problem.negative, decided, 0.0).sum()
        rest = torch.where(problem.negative, 1 - decided, 0.0).sum()
        usable = problem.positive.any()
        if self.measure == "f_beta":
            weight = self.beta**2
            loss = 1 - _ratio((1 + weight) * hits, (1 + weight) * hits + weight * misses + alarms)
        else:
            usable = usable & problem.negative.any()
            found, spared = _ratio(hits, hits + misses), _ratio(rest, rest + alarms)
            loss = 1 - (_root(found * spared) if self.measure == "g_mean" else (found + spared) / 2)
        return of_the_whole(torch.where(usable, loss, 0.0), problem.positive.any(dim=1))


@dataclass(frozen=True, kw_only=True)
class DiceOverlap(Criterion):
    """1 minus the Dice or Tversky overlap of probabilities ``p = sigmoid(z)`` with targets y.

    Attributes:
        form: ``self_adjusting`` is ``2 q y / (q + y)`` with ``q = (1 - p) ** alpha * p``; ``squared`` is
            ``2 p y / (p ** 2 + y ** 2)``; ``tversky`` is ``p y / (p y + a p (1 - y) + b (1 - p) y)``.
        alpha: how much less sure pairs count. With 1 or more a sure positive is pushed down again.
        smoothing: added above and below; above 0. It is what a negative has a gradient from.
        false_positive_weight, false_negative_weight: a and b of ``tversky``.
        over: ``pairs``: the mean of each row's pairs; ``batch``: one overlap of all pairs of the batch.
    """

    form: Literal["self_adjusting", "squared", "tversky"] = "self_adjusting"
    alpha: float = 0.0
    smoothing: float = 1.0
    false_positive_weight: float = 0.5
    false_negative_weight: float = 0.5
    over: Literal["pairs", "batch"] = "pairs"

    def __post_init__(self) -> None:
        words = ("self_adjusting", "squared", "tversky")
        require(self.form in words, self, "form", "self_adjusting, squared or tversky")
        require(self.over in ("pairs", "batch"), self, "over", "pairs or batch")
        require(is_number(self.smoothing) and self.smoothing > 0, self, "smoothing", "a number above 0")
        for field in ("alpha", "false_positive_weight", "false_negative_weight"):
            value = getattr(self, field)
            require(is_number(value) and value >= 0, self, field, "a number of at least 0")

    @property
    def scope(self) -> Scope:  # type: ignore[override]  # depends on a field here
        """``batch`` for one overlap of all pairs."""
        return "batch" if self.over == "batch" else "rows"

    def outcome(self, problem: Problem, memory: Memory) -> Outcome:
        """The loss of each row that has a positive, or of the batch."""
        above, below = (torch.where(problem.valid, each, 0.0) for each in self._fraction(problem))
        kept = problem.positive.any(dim=1)
        if self.over == "batch":
            loss = 1 - (above.sum() + self.smoothing) / (below.sum() + self.smoothing)
            return of_the_whole(loss, kept)
        terms = torch.where(problem.valid, 1 - (above + self.smoothing) / (below + self.smoothing), 0.0)
        losses = terms.sum(dim=1) / problem.valid.sum(dim=1).clamp(min=1)
        return Outcome(torch.where(kept, losses, 0.0), kept)

    def _fraction(self, problem: Problem) -> tuple[Float[Tensor, "row column"], Float[Tensor, "row column"]]:
        """What is above and below in the overlap of each pair, before smoothing."""
        sure, target = torch.sigmoid(problem.z), problem.positive.to(problem.z.dtype)
        if self.form == "self_adjusting":
            # Above 0, since a power below 1 has an infinite slope there.
            unsure = torch.sigmoid(-problem.z).clamp(min=torch.finfo(sure.dtype).tiny)
            damped = sure * unsure**self.alpha if self.alpha else sure
            return 2 * damped * target, damped + target
        if self.form == "squared":
            return 2 * sure * target, sure.square() + target
        wrong = self.false_positive_weight * sure * (1 - target) + self.false_negative_weight * (1 - sure) * target
        return sure * target, sure * target + wrong


def _ratio(above: Float[Tensor, ""], below: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """A ratio; 0 where there is nothing below."""
    some = below > 0
    return torch.where(some, above / torch.where(some, below, 1.0), 0.0)


def _root(value: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The square root, with slope 0 at 0."""
    some = value > torch.finfo(value.dtype).tiny
    return torch.where(some, torch.where(some, value, 1.0).sqrt(), 0.0)
