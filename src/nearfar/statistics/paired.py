"""What can be said about a mean, or about the difference of two systems, from one value for each query.

The bootstrap gives an interval, the randomisation test a p-value. Both cover chance in the choice of queries, none in
training: that takes several seeds.
"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from nearfar.errors import ShapeError
from nearfar.statistics.bootstrap import bootstrap_intervals
from nearfar.statistics.randomisation import randomisation_test
from nearfar.statistics.values import checked, without_rounding


@dataclass(frozen=True, kw_only=True)
class MeanInterval:
    """A mean over queries with its bootstrap interval."""

    mean: float
    low: float
    high: float
    confidence: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Treatment minus control, over the same queries.

    Attributes:
        mean: the mean difference.
        low, high: its bootstrap interval.
        confidence: of the interval.
        p: from the randomisation test.
        test: what was done, for a caption.
        n: number of queries.
        wins, losses, ties: queries where treatment is better, worse, equal.
    """

    mean: float
    low: float
    high: float
    confidence: float
    p: float
    test: str
    n: int
    wins: int
    losses: int
    ties: int

    def as_dict(self) -> dict[str, float | int | str]:
        """The fields, for JSON."""
        return asdict(self)


def bootstrap_interval(
    differences: Float[np.ndarray, " query"], *, confidence: float = 0.95, resamples: int = 10_000, seed: int
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean; see ``bootstrap_intervals`` for edge cases and errors."""
    low, high = bootstrap_intervals(differences[:, None], confidence=confidence, resamples=resamples, seed=seed)[0]
    return float(low), float(high)


def interval_of_mean(
    values: Float[np.ndarray, " query"], *, confidence: float = 0.95, resamples: int = 10_000, seed: int
) -> MeanInterval:
    """The mean of one system with its bootstrap interval; see ``bootstrap_interval`` for edge cases and errors.

    Intervals of two systems on the same queries may overlap although the difference is certain: use ``compare``.
    """
    low, high = bootstrap_interval(values, confidence=confidence, resamples=resamples, seed=seed)
    return MeanInterval(mean=float(values.mean()), low=low, high=high, confidence=confidence, n=len(values))


def compare(
    treatment: Float[np.ndarray, " query"],
    control: Float[np.ndarray, " other_query"],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    draws: int = 10_000,
    seed: int,
) -> Difference:
    """How much better ``treatment`` is than ``control`` on the same queries in the same order.

    A difference below 1e-12 of the largest value is rounding and counts as a tie. One query gives p = 1.

    Raises:
        ShapeError: there are not equally many values.
        DataError: there are none, or one is not finite.
        ConfigError: a setting is out of range.
    """
    if len(treatment) != len(control):
        raise ShapeError(
            f"Paired values must be of the same queries: treatment has {len(treatment)}, control has {len(control)}. "
            "Evaluate both on the same split."
        )
    left, right = checked(treatment), checked(control)
    differences = without_rounding(left - right, max(float(np.abs(left).max()), float(np.abs(right).max())))
    low, high = bootstrap_interval(differences, confidence=confidence, resamples=resamples, seed=seed)
    tested = randomisation_test(differences, draws=draws, seed=seed)
    kind = "exact randomisation test" if tested.exact else f"randomisation test, {tested.draws} draws"
    return Difference(
        mean=float(differences.mean()),
        low=low,
        high=high,
        confidence=confidence,
        p=tested.p,
        test=kind,
        n=len(differences),
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
        ties=int((differences == 0).sum()),
    )
