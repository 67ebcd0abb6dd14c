"""What can be said about a mean, or about the difference of two systems, from one value for each query.

The bootstrap gives an interval, the randomisation test a p-value. Both cover chance in the choice of queries, none in
training: that takes several seeds.
"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from nearfar.errors import ShapeError
from nearfar.statistics.randomisation import randomisation_test
from nearfar.statistics.values import check_draws, check_share, checked, parts, without_rounding


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
    """The percentile bootstrap interval of the mean: queries are drawn with replacement (Efron 1979).

    One query, or equal values, give an interval of width 0: that is no evidence, look at n. With fewer than some
    twenty queries the interval is too narrow.

    Raises:
        DataError: there are no values, or one is not finite.
        ConfigError: ``confidence`` is not between 0 and 1 or ``resamples`` below 1.
    """
    values = checked(differences)
    check_share("confidence", confidence, 0.95)
    check_draws(resamples)
    if (values == values[0]).all():
        return float(values[0]), float(values[0])
    generator = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[generator.integers(0, len(values), size=(count, len(values)), dtype=np.int32)].mean(axis=1)
            for count in parts(resamples, len(values))
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
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
