"""A mean with what is known about its error: the common ground of intervals, power and claims of equivalence."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log

import numpy as np
from jaxtyping import Float
from scipy import special

from nearfar.errors import DataError
from nearfar.statistics.values import check_share, checked, without_rounding

STEPS = 64
"""Halvings of a search: more than a float can tell apart."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One source of chance in a mean.

    Attributes:
        source: what is drawn by chance: queries, seeds or data sets.
        variance: how much it adds to the variance of the mean.
        degrees: degrees of freedom of that variance.
    """

    source: str
    variance: float
    degrees: float | int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and the sources of chance in it.

    With one source its interval is Student's. With several, the squared margins add up, each with the t quantile of
    its own degrees of freedom (Howe 1974; Zou and Donner 2008): three seeds are trusted as three, also where the
    queries are many. It covers about as often as it says, and up to some 3 % more often where two sources are of
    like size.

    Attributes:
        mean: the mean.
        parts: the sources, each with a variance above 0. None where nothing varies.
        n: number of queries, of all data sets.
    """

    mean: float
    parts: tuple[Part, ...]
    n: int

    @property
    def standard_error(self) -> float:
        """The standard deviation of the mean."""
        return float(np.sqrt(sum(part.variance for part in self.parts)))

    def margin(self, tail: float) -> float:
        """Half the width of the interval that leaves out ``tail`` on each side. 0 where nothing varies."""
        return float(np.sqrt(sum(part.variance * special.stdtrit(part.degrees, tail) ** 2 for part in self.parts)))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The two-sided interval of the mean.

        Raises:
            ConfigError: ``confidence`` is not between 0 and 1.
        """
        check_share("confidence", confidence, 0.95)
        margin = self.margin((1 - confidence) / 2)
        return self.mean - margin, self.mean + margin

    def p_above(self, bound: float) -> float:
        """The one-sided p-value of the null hypothesis that the true mean is at most ``bound``.

        Where nothing varies: 0 above the bound, else 1. That is no evidence from few queries; look at n.
        """
        distance = self.mean - bound
        if not self.parts:
            return 0.0 if distance > 0 else 1.0
        tail = self._tail(abs(distance))
        return tail if distance > 0 else 1 - tail

    def p_below(self, bound: float) -> float:
        """The one-sided p-value of the null hypothesis that the true mean is at least ``bound``."""
        return Estimate(mean=-self.mean, parts=self.parts, n=self.n).p_above(-bound)

    def p_value(self) -> float:
        """The two-sided p-value of a mean of 0: 1 less the confidence of the interval that just reaches 0.

        Where nothing varies it is that of the sign test, 2 / 2^n, or 1 for a mean of 0.
        """
        if not self.parts:
            return 2.0 ** (1 - self.n) if self.mean else 1.0
        return 2 * self._tail(abs(self.mean))

    def degrees(self, tail: float = 0.025) -> float | int:
        """Degrees of freedom of the Student distribution that would give the same margin, at most a million."""
        if len(self.parts) == 1:
            return self.parts[0].degrees
        wanted = self.margin(tail) / self.standard_error
        low, high = 1.0, 1e6
        return where_it_ends(lambda degrees: -float(special.stdtrit(degrees, tail)) > wanted, low, high)

    def _tail(self, distance: float) -> float:
        """The tail whose margin is ``distance``."""
        if len(self.parts) == 1:
            return float(special.stdtr(self.parts[0].degrees, -distance / self.standard_error))
        known = [(part.variance, part.degrees) for part in self.parts]
        logarithm = where_it_ends(
            lambda logarithm: bool(
                sum(variance * special.stdtrit(degrees, exp(logarithm)) ** 2 for variance, degrees in known)
                > distance**2
            ),
            -200.0,
            log(0.5),
        )
        return exp(logarithm)


def estimate(differences: Float[np.ndarray, " query"]) -> Estimate:
    """The mean of one difference for each query, with its variance by the t formula: s^2 / n on n - 1 degrees.

    Differences that are equal up to rounding have no variance.

    Raises:
        DataError: fewer than two queries, or a value that is not finite.
    """
    values = checked(differences)
    n = len(values)
    if n < 2:
        raise DataError("One query says nothing about others: a variance needs at least 2, and a test some twenty.")
    return Estimate(
        mean=float(values.mean()),
        parts=varying(Part(source="queries", variance=mean_variance(values), degrees=n - 1)),
        n=n,
    )


def mean_variance(values: Float[np.ndarray, " value"]) -> float:
    """The variance of the mean of independent values, s^2 / n. 0 where all are equal up to rounding."""
    deviations = without_rounding(values - values.mean(), float(np.abs(values).max()))
    n = len(values)
    return float((deviations**2).sum() / (n - 1) / n)


def varying(*found: Part) -> tuple[Part, ...]:
    """The sources that add anything."""
    return tuple(part for part in found if part.variance > 0)


def where_it_ends(left: Callable[[float], bool], low: float, high: float) -> float:
    """The point up to which ``left`` is true, by halving."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if left(middle) else (low, middle)
    return (low + high) / 2
