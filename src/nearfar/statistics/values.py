"""What every test asks of its values first: that there are some, all finite, of the same queries."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from jaxtyping import Float, Float64

from nearfar.errors import ConfigError, DataError, first_few

NUMBERS_AT_ONCE = 1 << 22
"""Random numbers that are held at once."""
TOLERANCE = 1e-12
"""Part of the largest value below which a difference is rounding."""


def same_queries(
    systems: Mapping[str, Mapping[str, float]],
) -> tuple[tuple[str, ...], dict[str, Float64[np.ndarray, " query"]]]:
    """The values of several systems in one order of queries, sorted by id.

    Args:
        systems: by the name of a system, its value for each query id.

    Returns:
        The query ids, and the values by system.

    Raises:
        DataError: no system, no query, a value that is not finite, or systems that answered different queries; the
            message names the queries that only one of them has.
    """
    if not systems:
        raise DataError("There is no system to compare.")
    first, *others = systems
    for other in others:
        if systems[other].keys() != systems[first].keys():
            raise DataError(
                f"{first!r} and {other!r} were measured on different queries: "
                f"{_only(first, systems[first], systems[other])}; {_only(other, systems[other], systems[first])}. "
                "Measure both on the same split with the same judgements."
            )
    queries = tuple(sorted(systems[first]))
    for name, values in systems.items():
        wrong = [query for query in queries if not np.isfinite(values[query])]
        if wrong:
            raise DataError(f"Values must be finite; {name!r} has others at the queries {first_few(wrong)}.")
    arrays = {name: checked(np.array([found[query] for query in queries], float)) for name, found in systems.items()}
    return queries, arrays


def checked(values: Float[np.ndarray, " query"]) -> Float64[np.ndarray, " query"]:
    """A copy of the values as float64.

    Raises:
        DataError: there are none, or one is not finite.
    """
    if not len(values):
        raise DataError("Statistics need at least one query, they got none. Does the split have relevant documents?")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(f"Values must be finite; those at {first_few(wrong.tolist())} are not.")
    return values.astype(np.float64)


def without_rounding(
    differences: Float64[np.ndarray, "..."], largest: float, share: float = TOLERANCE
) -> Float64[np.ndarray, "..."]:
    """The differences, with 0 for those that are at most ``share`` of the largest value."""
    return np.where(np.abs(differences) <= share * largest, 0.0, differences)


def check_share(name: str, value: float, example: float) -> None:
    """Refuse a confidence, level or power that is not between 0 and 1.

    Raises:
        ConfigError: it is not.
    """
    if not 0 < value < 1:
        raise ConfigError(f"{name} must be between 0 and 1, such as {example}, got {value}.")


def check_draws(draws: int) -> None:
    """Refuse to draw less than once.

    Raises:
        ConfigError: it is less.
    """
    if draws < 1:
        raise ConfigError(f"The number of draws must be at least 1, got {draws}.")


def parts(total: int, width: int) -> Iterator[int]:
    """Rows to draw at a time, so that at most ``NUMBERS_AT_ONCE`` numbers, or one row, are held."""
    step = max(1, NUMBERS_AT_ONCE // width)
    for start in range(0, total, step):
        yield min(step, total - start)


def _only(name: str, has: Collection[str], lacks: Collection[str]) -> str:
    alone = sorted(query for query in has if query not in lacks)
    return f"only {name!r} has {len(alone)}" + (f" ({first_few(alone)})" if alone else "")
