"""What a paired test can see, before it is made: the smallest difference, the number of queries, the power.

All are of the two-sided paired t-test; the randomisation test has nearly the same power. They need the standard
deviation of the differences, from earlier runs or a pilot, and never the difference that was found.
"""

import numpy as np
from scipy import special

from nearfar.errors import ConfigError
from nearfar.statistics.estimates import Estimate, Part, varying, where_it_ends
from nearfar.statistics.values import check_share

MOST_QUERIES = 10**9
"""More queries than any evaluation has."""


def power(difference: float, deviation: float, queries: int, *, alpha: float = 0.05) -> float:
    """The chance that a true mean ``difference`` is found, and found with the right sign.

    1 - F(t), with F the noncentral t distribution on queries - 1 degrees with noncentrality
    difference x sqrt(queries) / deviation, and t its central quantile at 1 - alpha / 2. A deviation of 0 gives 1.

    Args:
        difference: the true mean difference; its sign does not matter.
        deviation: standard deviation of the differences over queries.
        queries: number of queries.
        alpha: level of the two-sided test. For m comparisons with Holm, alpha / m is the careful choice.

    Raises:
        ConfigError: fewer than 2 queries, a deviation below 0, a level not between 0 and 1.
    """
    return _power_of(abs(difference), _planned(deviation, queries), alpha)


def smallest_detectable_difference(deviation: float, queries: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true mean difference that is found with probability ``power``; see ``power`` for what that is.

    About 2.8 x deviation / sqrt(queries) with the default values. Where two systems were not told apart, a true
    difference below this would likely have been missed.

    Raises:
        ConfigError: as ``power``, or a power that is not between alpha / 2 and 1.
    """
    return detectable(_planned(deviation, queries), alpha=alpha, power=power)


def detectable(estimate: Estimate, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest detectable difference of a comparison like the one that made ``estimate``; its mean is not used.

    With several sources of chance the t distribution is the one with the same margin. 0 where nothing varies.

    Raises:
        ConfigError: a level, or a power, out of range.
    """
    check_share("alpha", alpha, 0.05)
    check_share("power", power, 0.8)
    if power <= alpha / 2:
        raise ConfigError(f"A power of {power} is had with no difference at all at level {alpha}. Ask for 0.8.")
    error = estimate.standard_error
    if error == 0:
        return 0.0
    farthest = 2 * error
    while _power_of(farthest, estimate, alpha) < power:
        farthest *= 2
    return where_it_ends(lambda difference: _power_of(difference, estimate, alpha) < power, 0.0, farthest)


def queries_needed(difference: float, deviation: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """The fewest queries, at least 2, with which a true mean ``difference`` is found with probability ``power``.

    Raises:
        ConfigError: a difference of 0, a setting out of range, or more than a billion queries.
    """
    check_share("power", power, 0.8)
    if difference == 0:
        raise ConfigError("No number of queries finds a difference of 0. Give the smallest difference that matters.")

    def enough(queries: int) -> bool:
        return _power_of(abs(difference), _planned(deviation, queries), alpha) >= power

    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_QUERIES:
            raise ConfigError(
                f"A difference of {difference} with a deviation of {deviation} takes more than a billion queries."
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _planned(deviation: float, queries: int) -> Estimate:
    """The estimate that so many queries will give."""
    if queries < 2:
        raise ConfigError(f"A paired test needs at least 2 queries, got {queries}.")
    if not (np.isfinite(deviation) and deviation >= 0):
        raise ConfigError(f"The standard deviation of the differences must be 0 or more, got {deviation}.")
    part = Part(source="queries", variance=deviation**2 / queries, degrees=queries - 1)
    return Estimate(mean=0.0, parts=varying(part), n=queries)


def _power_of(difference: float, estimate: Estimate, alpha: float) -> float:
    check_share("alpha", alpha, 0.05)
    if estimate.standard_error == 0:
        return 1.0 if difference > 0 else 0.0
    away = difference / estimate.standard_error
    degrees = estimate.degrees(alpha / 2)
    return 1 - float(special.nctdtr(degrees, away, estimate.margin(alpha / 2) / estimate.standard_error))
