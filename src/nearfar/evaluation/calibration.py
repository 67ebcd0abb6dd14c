"""Scores as probabilities: a logistic curve fitted on some queries, and how far off it is on others.

A cosine is no probability, so its distance from the share of relevant documents says nothing. What can be judged is
a probability made from it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.optimize import minimize
from scipy.special import expit

from nearfar.errors import DataError, ShapeError
from nearfar.evaluation.separation import both_kinds

BINS = 15
"""Bins of a calibration error."""


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """The probability ``1 / (1 + exp(-(slope * score + intercept)))``.

    A slope of 0 or below means that higher scores were no more often relevant where it was fitted.
    """

    slope: float
    intercept: float

    def __call__(self, scores: Float[np.ndarray, " pair"]) -> Float64[np.ndarray, " pair"]:
        """The probability of each score."""
        probabilities: Float64[np.ndarray, " pair"] = expit(self.slope * scores.astype(np.float64) + self.intercept)
        return probabilities


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """What was predicted beside what came, in bins that hold something.

    Attributes:
        error: the expected calibration error, the mean over pairs of the distance between the two in a pair's bin.
        predicted: the mean probability of each bin.
        came: the share of relevant pairs of each bin.
        pairs: how many each bin holds.
    """

    error: float
    predicted: tuple[float, ...]
    came: tuple[float, ...]
    pairs: tuple[int, ...]


def fit_logistic(scores: Float[np.ndarray, " pair"], relevant: Bool[np.ndarray, " _relevant"]) -> Logistic:
    """The logistic curve of greatest likelihood, with the targets of Platt (1999).

    Relevant pairs aim at (n + 1) / (n + 2), not at 1, others at 1 / (n + 2), so that scores which separate the two
    without fault give a finite slope. Scores that are all equal give the slope 0.

    Raises:
        DataError: all pairs are relevant, or none, or a score is not finite.
        ShapeError: the arguments differ in length.
    """
    positives, others = both_kinds(scores, relevant, "A probability needs pairs of both kinds to be fitted on")
    targets = np.where(relevant, (positives + 1) / (positives + 2), 1 / (others + 2))
    values = scores.astype(np.float64)
    middle, width = float(values.mean()), float(values.std())
    width = width if width > 1e-9 * max(1.0, abs(middle)) else np.inf  # equal scores: nothing but rounding
    scaled = (values - middle) / width

    def loss(at: Float64[np.ndarray, " 2"]) -> tuple[float, Float64[np.ndarray, " 2"]]:
        logits = at[0] * scaled + at[1]
        error = expit(logits) - targets
        value = np.logaddexp(0, logits) - targets * logits
        return float(value.mean()), np.array([(error * scaled).mean(), error.mean()])

    start = np.array([0.0, np.log((positives + 1) / (others + 1))])
    slope, intercept = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return Logistic(slope=float(slope / width), intercept=float(intercept - slope / width * middle))


def reliability(
    probabilities: Float64[np.ndarray, " pair"],
    relevant: Bool[np.ndarray, " _relevant"],
    *,
    bins: int = BINS,
    equal_mass: bool = False,
) -> Reliability:
    """The expected calibration error (Naeini and others 2015).

    Bins are equally wide, or with ``equal_mass`` hold equally many pairs up to one; equal probabilities always share a
    bin, so with ties bins may be fewer and uneven. Few pairs make the error too large: each bin adds its own noise.

    Raises:
        DataError: there are no pairs, or a probability is not between 0 and 1.
        ShapeError: the arguments differ in length.
    """
    if len(probabilities) != len(relevant):
        raise ShapeError(f"There are {len(probabilities)} probabilities for {len(relevant)} pairs.")
    if not len(probabilities):
        raise DataError("A calibration error needs at least one pair, it got none.")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise DataError(
            "A calibration error needs probabilities between 0 and 1. A similarity is none: fit a Logistic first."
        )
    if equal_mass:
        first = np.searchsorted(np.sort(probabilities), probabilities)  # the same for equal probabilities
        place = first * bins // len(probabilities)
    else:
        place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    pairs = np.bincount(place, minlength=bins)
    held = pairs > 0
    predicted = np.bincount(place, probabilities, bins)[held] / pairs[held]
    came = np.bincount(place, relevant.astype(np.float64), bins)[held] / pairs[held]
    return Reliability(
        error=float((np.abs(predicted - came) * pairs[held]).sum() / len(probabilities)),
        predicted=tuple(predicted.tolist()),
        came=tuple(came.tolist()),
        pairs=tuple(pairs[held].tolist()),
    )
