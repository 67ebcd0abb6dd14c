"""Filters that hold one score of a candidate against a limit: a fixed one, or one that its positive gives.

All of them compare in float32, the precision of scores, so that a candidate at the limit is not dropped by a rounding
of the limit. Where the score of a candidate or of its positive is not known (NaN), nothing is compared: such
candidates are dropped with a reason of their own, or kept with ``unscored=keep``.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32, Float64

from nearfar.config.component import is_number, require
from nearfar.negatives.candidates import Candidates, Reason
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Filter, check_reference

UNSCORED = ("drop", "keep")
"""What becomes of a candidate whose score, or whose positive's, is not known."""


class ScoreFilter(Filter):
    """Drops candidates whose score is beyond a limit.

    Class attributes:
        setting: the field that moves the limit.
        stricter: 1 if more is dropped as that field grows, -1 if less is.
    """

    by: str
    unscored: str
    setting: ClassVar[str]
    stricter: ClassVar[int] = -1

    def __post_init__(self) -> None:
        require(is_number(getattr(self, self.setting)), self, self.setting, "a number")
        require(self.unscored in UNSCORED, self, "unscored", " or ".join(UNSCORED))

    def at(self, value: float) -> "ScoreFilter":
        """The same filter with another limit."""
        return replace(self, **{self.setting: value})  # type: ignore[type-var]  # every filter is a dataclass

    @abstractmethod
    def limits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The limit of each row; NaN where it is not known."""

    @abstractmethod
    def edges(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The value of the setting at which each row is at its limit; NaN where it is not known."""

    def beyond(
        self, scores: Float32[np.ndarray, " row"], limits: Float32[np.ndarray, " row"]
    ) -> Bool[np.ndarray, " row"]:
        """Which scores are beyond their limits."""
        return scores > limits

    def drops(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which rows to drop."""
        unknown, beyond = self._compared(candidates)
        return (unknown | beyond) if self.unscored == "drop" else beyond

    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with a reason for those that it drops."""
        unknown, beyond = self._compared(candidates)
        if self.unscored == "drop":
            candidates = candidates.drop(unknown, Reason.UNSCORED)
        return candidates.drop(beyond, self.reason)

    def unknown(self, candidates: Candidates) -> Bool[np.ndarray, " row"]:
        """Which rows cannot be compared."""
        return self._compared(candidates)[0]

    def _compared(self, candidates: Candidates) -> tuple[Bool[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
        """Which rows cannot be compared, and which of the others are beyond their limits."""
        scores, limits = candidates.score(self.by), self.limits(candidates).astype(np.float32)
        return np.isnan(scores) | np.isnan(limits), self.beyond(scores, limits)


@dataclass(frozen=True, kw_only=True)
class Absolute(ScoreFilter):
    """Drops what scores above a number.

    Attributes:
        at_most: the highest score that is kept.
        by: name of the score.
        unscored: drop or keep candidates without that score.
    """

    at_most: float
    by: str = "teacher"
    unscored: str = "drop"
    reason: ClassVar[Reason] = Reason.ABSOLUTE
    setting: ClassVar[str] = "at_most"
    example: ClassVar[str] = "Absolute(at_most=0.8)"

    def limits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The same for all."""
        return np.full(len(candidates), self.at_most, dtype=np.float64)

    def edges(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The scores."""
        return candidates.score(self.by).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class AtLeast(ScoreFilter):
    """Drops what scores below a number: too easy to teach anything.

    Attributes:
        floor: the lowest score that is kept.
        by: name of the score.
        unscored: drop or keep candidates without that score.
    """

    floor: float
    by: str = "teacher"
    unscored: str = "drop"
    reason: ClassVar[Reason] = Reason.ABSOLUTE
    setting: ClassVar[str] = "floor"
    example: ClassVar[str] = "AtLeast(floor=0.1)"
    stricter: ClassVar[int] = 1

    def limits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The same for all."""
        return np.full(len(candidates), self.floor, dtype=np.float64)

    def edges(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The scores."""
        return candidates.score(self.by).astype(np.float64)

    def beyond(
        self, scores: Float32[np.ndarray, " row"], limits: Float32[np.ndarray, " row"]
    ) -> Bool[np.ndarray, " row"]:
        """Which scores are below."""
        return scores < limits


@dataclass(frozen=True, kw_only=True)
class BelowCrossEncoder(ScoreFilter):
    """Keeps only what a cross-encoder finds irrelevant: a score below a number (RocketQA, 2010.08191).

    The number is that of one cross-encoder after its sigmoid; set it by removal rate for another. A cross-encoder that
    was trained on the same pairs confirms their mistakes.

    Attributes:
        below: the score from which on a candidate is dropped.
        by: name of the score.
        unscored: drop or keep candidates without that score.
    """

    below: float = 0.1
    by: str = "cross_encoder"
    unscored: str = "drop"
    reason: ClassVar[Reason] = Reason.CROSS_ENCODER
    setting: ClassVar[str] = "below"

    def limits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The same for all."""
        return np.full(len(candidates), self.below, dtype=np.float64)

    def edges(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The scores."""
        return candidates.score(self.by).astype(np.float64)

    def beyond(
        self, scores: Float32[np.ndarray, " row"], limits: Float32[np.ndarray, " row"]
    ) -> Bool[np.ndarray, " row"]:
        """Which scores are not below."""
        return scores >= limits


@dataclass(frozen=True, kw_only=True)
class Percent(ScoreFilter):
    """Drops what scores above a share of the positive's score (NV-Retriever, 2407.15831).

    The limit is ``s - (1 - ratio) * |s|`` for a positive of score s, which is ``ratio * s`` for scores above 0 and lies
    below s for negative ones too. With the scores of a cross-encoder it is the adaptive margin of LG-ANNA (2506.07438).
    Where all scores are close together, 0.95 drops nearly everything: set it by removal rate.

    Attributes:
        ratio: the share; above 0.
        by: name of the score.
        positive: which of a query's positives counts: min, max, mean, or pair for that of the row's own pair.
        unscored: drop or keep candidates without that score, or whose positive has none.
    """

    ratio: float = 0.95
    by: str = "teacher"
    positive: str = "min"
    unscored: str = "drop"
    reason: ClassVar[Reason] = Reason.PERCENT
    setting: ClassVar[str] = "ratio"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.ratio > 0, self, "ratio", "a number above 0")
        check_reference(self, self.positive)

    def limits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """A share of the positive's score."""
        reference = candidates.reference(self.by, self.positive).astype(np.float64)
        return reference - (1 - self.ratio) * np.abs(reference)

    def edges(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The share of the positive's score that each candidate has."""
        reference = candidates.reference(self.by, self.positive).astype(np.float64)
        return 1 - _in_shares(reference - candidates.score(self.by), reference)


@dataclass(frozen=True, kw_only=True)
class Margin(ScoreFilter):
    """Drops what does not score lower than the positive by a margin (NV-Retriever, 2407.15831).

    Attributes:
        margin: how much lower; below 0, a candidate may score that much above the positive.
        kind: absolute, or relative to the size of the positive's score.
        by: name of the score.
        positive: which of a query's positives counts: min, max, mean, or pair for that of the row's own pair.
        unscored: drop or keep candidates without that score, or whose positive has none.
    """

    margin: float = 0.05
    kind: str = "absolute"
    by: str = "teacher"
    positive: str = "min"
    unscored: str = "drop"
    reason: ClassVar[Reason] = Reason.MARGIN
    setting: ClassVar[str] = "margin"
    stricter: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.kind in ("absolute", "relative"), self, "kind", "absolute or relative")
        check_reference(self, self.positive)

    def limits(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """The positive's score less the margin."""
        reference = candidates.reference(self.by, self.positive).astype(np.float64)
        return reference - self.margin * (np.abs(reference) if self.kind == "relative" else 1.0)

    def edges(self, candidates: Candidates) -> Float64[np.ndarray, " row"]:
        """How much lower than the positive each candidate scores."""
        reference = candidates.reference(self.by, self.positive).astype(np.float64)
        below = reference - candidates.score(self.by)
        return _in_shares(below, reference) if self.kind == "relative" else below


@dataclass(frozen=True, kw_only=True)
class Guide(Margin):
    """Drops what another, stronger model finds nearer than the positive (GISTEmbed, 2402.16829).

    In a batch, where candidates are the other rows' documents, the mask ``Guide`` of an objective does the same.

    Attributes:
        margin: how much lower than the positive a candidate must score.
        kind: absolute, or relative to the size of the positive's score.
        by: name of the score.
        positive: which of a query's positives counts: min, max, mean, or pair for that of the row's own pair.
        unscored: drop or keep candidates without that score, or whose positive has none.
    """

    margin: float = 0.0
    by: str = "guide"
    reason: ClassVar[Reason] = Reason.GUIDE


@dataclass(frozen=True, kw_only=True)
class Judge(Margin):
    """Drops what a judge finds about as relevant as the positive (UniME-V2, 2510.13515; ``margin`` is its beta).

    Attributes:
        margin: how much lower than the positive a candidate must score.
        kind: absolute, or relative to the size of the positive's score.
        by: name of the score.
        positive: which of a query's positives counts: min, max, mean, or pair for that of the row's own pair.
        unscored: drop or keep candidates that the judge gave no answer for, or whose positive has none.
    """

    margin: float = 0.01
    by: str = "judge"
    reason: ClassVar[Reason] = Reason.JUDGE


def _in_shares(
    below: Float64[np.ndarray, " row"], reference: Float64[np.ndarray, " row"]
) -> Float64[np.ndarray, " row"]:
    """Differences as shares of the size of a score. Of a score of 0 no share is anything, so NaN."""
    shares = np.full(len(below), np.nan)
    np.divide(below, np.abs(reference), out=shares, where=reference != 0)
    return shares
