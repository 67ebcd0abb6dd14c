"""Bootstrap resamples as counts: how often each item is in each. One set of them serves any number of measures."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64

from nearfar.statistics.values import check_draws, check_share, checked

COUNTS_AT_ONCE = 1 << 18
"""Numbers in one block of resamples: what the cache of a processor holds."""


def bootstrap_counts(n: int, resamples: int, seed: int) -> Iterator[Float64[np.ndarray, "draw item"]]:
    """How often each of ``n`` items is in each resample, in blocks of resamples."""
    generator = np.random.default_rng(seed)
    step = max(1, COUNTS_AT_ONCE // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = generator.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        yield np.bincount(drawn.reshape(-1), minlength=rows * n).reshape(rows, n).astype(np.float64)


def bootstrap_intervals(
    values: Float[np.ndarray, "query measure"], *, confidence: float = 0.95, resamples: int = 10_000, seed: int
) -> Float64[np.ndarray, "measure 2"]:
    """The percentile bootstrap intervals of the means of several measures (Efron 1979), from the same resamples.

    Queries are drawn with replacement. One query, or equal values, give an interval of width 0: that is no evidence,
    look at n. With fewer than some twenty queries the interval is too narrow.

    Raises:
        DataError: there are no values, or one is not finite.
        ConfigError: ``confidence`` is not between 0 and 1 or ``resamples`` below 1.
    """
    check_share("confidence", confidence, 0.95)
    check_draws(resamples)
    known = np.stack([checked(column) for column in values.T], axis=1)
    means = np.concatenate([counts @ known for counts in bootstrap_counts(len(known), resamples, seed)]) / len(known)
    bounds = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0).T
    equal = (known == known[0]).all(axis=0)[:, None]
    intervals: Float64[np.ndarray, "measure 2"] = np.where(equal, known[0][:, None], bounds)
    return intervals
