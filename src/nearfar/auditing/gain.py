"""What leaked queries do to a mean: ConTAM's estimated gain (arXiv 2411.03923)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from nearfar.errors import DataError, ShapeError
from nearfar.statistics.paired import bootstrap_interval


@dataclass(frozen=True, kw_only=True)
class EstimatedGain:
    """The mean over all queries minus that over the clean ones.

    Attributes:
        gain: the difference. Above 0: the leaked queries make the mean look better.
        low, high: its bootstrap interval, over queries.
        all, clean, leaked: the means.
        queries: how many, leaked ones among them.
        leaked_queries: how many are leaked.
    """

    gain: float
    low: float
    high: float
    all: float
    clean: float
    leaked: float
    queries: int
    leaked_queries: int


def estimated_gain(
    values: Float[np.ndarray, " query"],
    leaked: Bool[np.ndarray, " _leaked"],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int,
) -> EstimatedGain:
    """How much the leaked queries add to a mean.

    Leaked queries may be easier than others for other reasons. Given differences to a model that has not seen the leak,
    in the place of scores, that cancels. The interval is that of the mean's influence function.

    Args:
        values: one of each query.
        leaked: which queries are.
        confidence: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: no query is leaked, or every one; or a value is not finite.
        ShapeError: the arguments differ in length.
    """
    if len(values) != len(leaked):
        raise ShapeError(f"There are {len(values)} values for {len(leaked)} queries.")
    if leaked.all() or not leaked.any():
        raise DataError(
            f"An estimated gain needs leaked queries and clean ones; {int(leaked.sum())} of {len(leaked)} are."
        )
    clean = float(values[~leaked].mean())
    weights = 1 - ~leaked / (~leaked).mean()
    low, high = bootstrap_interval((values - clean) * weights, confidence=confidence, resamples=resamples, seed=seed)
    return EstimatedGain(
        gain=float(values.mean()) - clean,
        low=low,
        high=high,
        all=float(values.mean()),
        clean=clean,
        leaked=float(values[leaked].mean()),
        queries=len(values),
        leaked_queries=int(leaked.sum()),
    )
