"""Weights of negatives that are known before training.

What depends on losses, or on which candidates meet in a step, is a part of the objective: soft labels of a judge or a
teacher are ``SoftTargets`` over the score columns that a mining job writes, noisy labels are ``NoisyLabels``, bad pairs
``LossHistory``, and the propensity of a partner that is trained beside is ``InversePropensity``.

Weights multiply. A candidate without the score that a part goes by keeps the weight it has.
"""

from dataclasses import dataclass, replace

import numpy as np

from nearfar.config.component import is_number, require
from nearfar.errors import ConfigError
from nearfar.negatives.candidates import Candidates
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Weight


@dataclass(frozen=True, kw_only=True)
class Doubt(Weight):
    """A negative counts as much as a judge doubts that it is relevant: 1 less the judge's probability.

    Attributes:
        by: name of the score, which is a probability.
    """

    by: str = "judge"

    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with weights of 1 or less.

        Raises:
            ConfigError: when a score is not between 0 and 1.
        """
        scores = candidates.score(self.by)
        known = candidates.kept & ~np.isnan(scores)
        outside = known & ((scores < 0) | (scores > 1))
        if outside.any():
            raise ConfigError(
                f"{self} needs probabilities, but the score {self.by!r} is {scores[outside][0]:g} for a candidate. Use "
                "a judge that gives numbers between 0 and 1."
            )
        return replace(candidates, weight=np.where(known, candidates.weight * (1 - scores), candidates.weight))


@dataclass(frozen=True, kw_only=True)
class Propensity(Weight):
    """Inverse propensity: a negative weighs ``1 / (1 - sigmoid(x / temperature))`` (CET, 2209.05072).

    x is the logit that the document was selected for judgement at all: what was looked at and not marked is a negative
    for sure. The weights of all kept candidates have mean 1, before earlier weights.

    Attributes:
        by: name of the score, which is a logit.
        temperature: divides the logits; above 0.
        maximum: bound of a weight before the mean is taken, which is never below 1; none for no bound.
    """

    by: str = "propensity"
    temperature: float = 2.0
    maximum: float | None = 5.0

    def __post_init__(self) -> None:
        require(is_number(self.temperature) and self.temperature > 0, self, "temperature", "a number above 0")
        bound = self.maximum is None or (is_number(self.maximum) and self.maximum >= 1)
        require(bound, self, "maximum", "a number of at least 1, or none")

    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with weights."""
        scores = candidates.score(self.by)
        known = candidates.kept & ~np.isnan(scores)
        if not known.any():
            return candidates
        with np.errstate(over="ignore"):  # a huge logit is infinitely likely
            each = 1 + np.exp(scores[known].astype(np.float64) / self.temperature)
        each = np.minimum(each, np.finfo(np.float32).max if self.maximum is None else self.maximum)
        weight = candidates.weight.copy()
        weight[known] *= each / each.mean()
        return replace(candidates, weight=weight)
