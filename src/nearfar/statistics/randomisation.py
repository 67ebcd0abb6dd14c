"""Tests that need no distribution: under no difference, the labels of the systems could be exchanged within a query.

For two systems that is a flip of the sign of a difference, for several a permutation within the query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Float64

from nearfar.errors import DataError, ShapeError
from nearfar.statistics.values import check_draws, checked, parts

EXACT_UP_TO = 20
"""Differences other than zero up to which all sign flips count: 1,048,576 of them."""
ROUNDING = 1e-10
"""Part of the sum of all sizes below which two sums are equal."""


@dataclass(frozen=True, kw_only=True)
class PValue:
    """The p-value of a two-sided test.

    Attributes:
        p: the probability, under no difference, of a mean at least as far from 0.
        exact: whether all sign flips were counted.
        draws: how many sign flips were counted.
    """

    p: float
    exact: bool
    draws: int


def randomisation_test(differences: Float[np.ndarray, " query"], *, draws: int = 10_000, seed: int) -> PValue:
    """Two-sided randomisation test of a mean difference of 0, under which each sign is a coin flip (Fisher 1935).

    All sign flips are counted where at most ``EXACT_UP_TO`` differences are not zero; beyond that ``draws`` random
    ones, and p is (1 + count) / (1 + draws), which is never 0. Means equal up to rounding count as equal. Differences
    that are all 0 give p = 1, and so does a single query.

    Raises:
        DataError: there are no differences, or one is not finite.
        ConfigError: ``draws`` is below 1.
    """
    values = checked(differences)
    check_draws(draws)
    values = values[values != 0]
    n = len(values)
    if n == 0:
        return PValue(p=1.0, exact=True, draws=1)
    values = values / np.abs(values).max()
    reached = abs(float(values.sum())) - ROUNDING * float(np.abs(values).sum())
    if n <= EXACT_UP_TO:
        return PValue(p=_share_of_flips(values, reached), exact=True, draws=1 << n)
    generator = np.random.default_rng(seed)
    count = 0
    for part in parts(draws, n):
        bits = np.unpackbits(np.frombuffer(generator.bytes((part * n + 7) // 8), dtype=np.uint8), count=part * n)
        sums = values.sum() - 2.0 * (bits.reshape(part, n).astype(np.float64) @ values)
        count += int((np.abs(sums) >= reached).sum())
    return PValue(p=(1 + count) / (1 + draws), exact=False, draws=draws)


def randomised_tukey(
    systems: Mapping[str, Float[np.ndarray, " query"]], *, draws: int = 10_000, seed: int
) -> dict[tuple[str, str], float]:
    """P-values of all pairs of systems, already adjusted for their number (randomised Tukey HSD, Carterette 2012).

    The values of each query are dealt anew to the systems, ``draws`` times. The p-value of a pair is
    (1 + count) / (1 + draws), where count is how often the range, the largest less the smallest mean of all systems,
    reaches the difference of the pair. With two systems this is the randomisation test. Valid where no two systems
    differ; where some do, the wide range of all makes it careful. Holm over paired tests sees more where one system
    is far from the others.

    Args:
        systems: by name, one value for each query, in the same order for all.
        draws: how often the values are dealt anew.
        seed: of the draws.

    Returns:
        A p-value for each pair, named in the order of ``systems``. 1 where two means are equal.

    Raises:
        DataError: fewer than two systems, no values, or one that is not finite.
        ShapeError: systems with different numbers of values.
        ConfigError: ``draws`` is below 1.
    """
    check_draws(draws)
    table = _table(systems)
    names = list(systems)
    totals = table.sum(axis=1)
    pairs = list(combinations(range(len(names)), 2))
    slack = ROUNDING * float(np.abs(table).sum())
    reached = np.array([abs(totals[left] - totals[right]) for left, right in pairs]) - slack
    moving = table[:, (table != table[0]).any(axis=0)]
    generator = np.random.default_rng(seed)
    count = np.zeros(len(pairs), np.int64)
    for part in parts(draws, max(1, moving.size)):
        dealt = np.repeat(moving[None], part, axis=0)
        generator.permuted(dealt, axis=1, out=dealt)
        ranges = np.sort(np.ptp(dealt.sum(axis=2), axis=1))
        count += part - np.searchsorted(ranges, reached)
    return {
        (names[left], names[right]): (1 + int(found)) / (1 + draws)
        for (left, right), found in zip(pairs, count, strict=True)
    }


def _share_of_flips(values: Float64[np.ndarray, " query"], reached: float) -> float:
    """The share of all sign flips whose sum is at least ``reached`` from 0.

    Every sum is one of the first half of the values and one of the second: with the first sorted, counting takes
    2^(n/2) searches instead of 2^n sums (Horowitz and Sahni 1974). Each flip has an opposite, so one tail is enough.
    """
    if reached <= 0:
        return 1.0
    half = len(values) // 2
    first, second = np.sort(_all_sums(values[:half])), _all_sums(values[half:])
    count = int((len(first) - np.searchsorted(first, reached - second)).sum())
    return 2 * count / (1 << len(values))


def _all_sums(values: Float64[np.ndarray, " query"]) -> Float64[np.ndarray, " flip"]:
    """The sums of the values under all sign flips."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _table(systems: Mapping[str, Float[np.ndarray, " query"]]) -> Float64[np.ndarray, "system query"]:
    """The values of all systems, in units of the largest."""
    if len(systems) < 2:
        raise DataError(f"A comparison needs at least two systems, got {len(systems)}.")
    counts = {name: len(values) for name, values in systems.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ShapeError(f"Paired values must be of the same queries, the systems have different numbers: {listed}.")
    table = np.stack([checked(values) for values in systems.values()])
    largest = float(np.abs(table).max())
    return table / largest if largest > 0 else table
