"""What can be said about a mean, or about the difference of two systems, from one value for each query.

The bootstrap gives an interval, the randomisation test a p-value. Both cover chance in the choice of queries, none in
training: that takes several seeds.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Float64

from nearfar.errors import ConfigError, DataError, ShapeError, first_few

EXACT_UP_TO = 16
"""Differences other than zero up to which all sign flips are tried: 65,536 of them."""
NUMBERS_AT_ONCE = 1 << 22
"""Random numbers that are held at once."""
TOLERANCE = 1e-12
"""Part of the largest value below which a difference is rounding."""


@dataclass(frozen=True, kw_only=True)
class PValue:
    """The p-value of a two-sided test.

    Attributes:
        p: the probability, under no difference, of a mean at least as far from 0.
        exact: whether all sign flips were tried.
        draws: how many sign flips were tried.
    """

    p: float
    exact: bool
    draws: int


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
    values = _checked(differences)
    _check_counts(confidence, resamples)
    if (values == values[0]).all():
        return float(values[0]), float(values[0])
    generator = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[generator.integers(0, len(values), size=(count, len(values)), dtype=np.int32)].mean(axis=1)
            for count in _parts(resamples, len(values))
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


def randomisation_test(differences: Float[np.ndarray, " query"], *, draws: int = 10_000, seed: int) -> PValue:
    """Two-sided randomisation test of a mean difference of 0, under which each sign is a coin flip (Fisher 1935).

    All sign flips are tried where at most ``EXACT_UP_TO`` differences are not zero; beyond that ``draws`` random ones,
    and p is (1 + count) / (1 + draws), which is never 0. Means equal up to rounding count as equal. Differences that
    are all 0 give p = 1.

    Raises:
        DataError: there are no differences, or one is not finite.
        ConfigError: ``draws`` is below 1.
    """
    values = _checked(differences)
    _check_counts(0.5, draws)
    values = values[values != 0]
    n = len(values)
    if n == 0:
        return PValue(p=1.0, exact=True, draws=1)
    values = values / np.abs(values).max()
    reached = abs(values.sum()) - 1e-10 * np.abs(values).sum()
    if n <= EXACT_UP_TO:
        flips = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
        sums = (1.0 - 2.0 * flips) @ values
        return PValue(p=float((np.abs(sums) >= reached).mean()), exact=True, draws=1 << n)
    generator = np.random.default_rng(seed)
    count = 0
    for part in _parts(draws, n):
        bits = np.unpackbits(np.frombuffer(generator.bytes((part * n + 7) // 8), dtype=np.uint8), count=part * n)
        sums = values.sum() - 2.0 * (bits.reshape(part, n).astype(np.float64) @ values)
        count += int((np.abs(sums) >= reached).sum())
    return PValue(p=(1 + count) / (1 + draws), exact=False, draws=draws)


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

    A difference below ``TOLERANCE`` times the largest value is rounding and counts as a tie.

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
    left, right = _checked(treatment), _checked(control)
    differences = left - right
    largest = max(float(np.abs(left).max()), float(np.abs(right).max()))
    differences[np.abs(differences) <= TOLERANCE * largest] = 0.0
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


def _checked(values: Float[np.ndarray, " query"]) -> Float64[np.ndarray, " query"]:
    """The values as float64, if there are any and all are finite."""
    if not len(values):
        raise DataError("Statistics need at least one query, they got none. Does the split have relevant documents?")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(f"Values must be finite; those at {first_few(wrong.tolist())} are not.")
    return values.astype(np.float64)


def _check_counts(confidence: float, draws: int) -> None:
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must be between 0 and 1, such as 0.95, got {confidence}.")
    if draws < 1:
        raise ConfigError(f"The number of draws must be at least 1, got {draws}.")


def _parts(total: int, width: int) -> Iterator[int]:
    """Rows to draw at a time, so that at most ``NUMBERS_AT_ONCE`` numbers, or one row, are held."""
    step = max(1, NUMBERS_AT_ONCE // width)
    for start in range(0, total, step):
        yield min(step, total - start)
