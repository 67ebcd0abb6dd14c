"""Negative flips: queries that the old model answered and the new one does not (MUSCLE, Echterhoff et al. 2024).

A model that is better on average may still break what users rely on. Two trainings of one recipe flip some queries
too: judge the rate against that of another seed.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy import special

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.statistics.values import TOLERANCE, check_share, checked


@dataclass(frozen=True, kw_only=True)
class Flips:
    """Queries that went over to the other side between two models.

    Attributes:
        negative: positions of the queries that got worse, the largest loss first.
        positive: positions of those that got better, the largest gain first.
        n: number of queries.
        negative_rate: NFR, the share of the queries that got worse.
        positive_rate: PFR, the share of those that got better.
        low, high: Wilson interval of the negative rate.
    """

    negative: tuple[int, ...]
    positive: tuple[int, ...]
    n: int
    negative_rate: float
    positive_rate: float
    low: float
    high: float


def flips_of_success(
    old: Float[np.ndarray, " query"], new: Float[np.ndarray, " other_query"], *, confidence: float = 0.95
) -> Flips:
    """Flips by right or wrong, such as Success@1: a value of 1 is right, 0 wrong.

    The share of right answers changes by ``positive_rate - negative_rate``.

    Raises:
        ShapeError: there are not equally many values.
        DataError: there are none, or one is neither 0 nor 1.
        ConfigError: ``confidence`` is not between 0 and 1.
    """
    changes = _changes(old, new)
    if not (np.isin(old, (0, 1)).all() and np.isin(new, (0, 1)).all()):
        raise DataError(
            "Right or wrong is 1 or 0, as Success@k gives it; other values came. "
            "For measures with values between, such as nDCG, use flips_of_drop."
        )
    return _flips(changes, changes < 0, changes > 0, confidence)


def flips_of_drop(
    old: Float[np.ndarray, " query"],
    new: Float[np.ndarray, " other_query"],
    *,
    threshold: float = 0.05,
    confidence: float = 0.95,
) -> Flips:
    """Flips by a change of more than ``threshold`` in a measure such as nDCG@10. A change of just that much is none.

    Raises:
        ShapeError: there are not equally many values.
        DataError: there are none, or one is not finite.
        ConfigError: a threshold below 0, or ``confidence`` is not between 0 and 1.
    """
    if not threshold >= 0:
        raise ConfigError(f"The threshold of a drop must be 0 or more, such as 0.05, got {threshold}.")
    changes = _changes(old, new)
    beyond = threshold + TOLERANCE * max(float(np.abs(old).max()), float(np.abs(new).max()))
    return _flips(changes, changes < -beyond, changes > beyond, confidence)


def _changes(old: Float[np.ndarray, " query"], new: Float[np.ndarray, " other_query"]) -> Float64[np.ndarray, " query"]:
    if len(old) != len(new):
        raise ShapeError(
            f"Flips are between the same queries: the old model has {len(old)}, the new one {len(new)}. "
            "Evaluate both on the same split."
        )
    before, after = checked(old), checked(new)
    changes: Float64[np.ndarray, " query"] = after - before
    return changes


def _flips(
    changes: Float[np.ndarray, " query"],
    worse: Bool[np.ndarray, " query"],
    better: Bool[np.ndarray, " query"],
    confidence: float,
) -> Flips:
    order = np.argsort(changes, kind="stable")
    backwards = np.argsort(-changes, kind="stable")
    low, high = _wilson(int(worse.sum()), len(changes), confidence)
    return Flips(
        negative=tuple(order[worse[order]].tolist()),
        positive=tuple(backwards[better[backwards]].tolist()),
        n=len(changes),
        negative_rate=float(worse.mean()),
        positive_rate=float(better.mean()),
        low=low,
        high=high,
    )


def _wilson(count: int, n: int, confidence: float) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927). It is not empty where nothing was counted."""
    check_share("confidence", confidence, 0.95)
    z = float(special.ndtri((1 + confidence) / 2))
    share = count / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return (0.0 if count == 0 else middle - reach), (1.0 if count == n else middle + reach)
