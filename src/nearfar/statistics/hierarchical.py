"""The difference of two recipes over queries, training seeds and data sets at once.

Model, for data set d, seed s and query q::

    difference[d, s, q] = mean + set[d] + seed[d, s] + query[d, q] + rest[d, s, q]

All data sets weigh the same, however many queries they have; queries of different sets are never pooled.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from nearfar.errors import ConfigError, DataError, ShapeError, first_few
from nearfar.statistics.estimates import Estimate, Part, mean_variance, varying
from nearfar.statistics.values import check_share, without_rounding


@dataclass(frozen=True, kw_only=True)
class OfDataSet:
    """The difference on one data set: ``mean`` within ``low`` to ``high``, from so many queries and seeds."""

    mean: float
    low: float
    high: float
    p: float
    queries: int
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Hierarchical:
    """The mean difference over data sets.

    Attributes:
        estimate: the mean and its sources of chance, for power and claims of equivalence.
        low, high: its interval.
        confidence: of the intervals.
        p: two-sided p-value of no difference.
        covers: in words, what chance the interval covers and what not.
        data_sets: the same for each data set by name.
    """

    estimate: Estimate
    low: float
    high: float
    confidence: float
    p: float
    covers: str
    data_sets: dict[str, OfDataSet]

    @property
    def mean(self) -> float:
        """The mean difference, each data set with the same weight."""
        return self.estimate.mean

    def as_dict(self) -> dict[str, Any]:
        """The fields, for JSON. ``shares`` says how much of the variance of the mean each source makes."""
        total = sum(part.variance for part in self.estimate.parts)
        return {
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "p": self.p,
            "standard_error": self.estimate.standard_error,
            "queries": self.estimate.n,
            "shares": {part.source: part.variance / total for part in self.estimate.parts},
            "covers": self.covers,
            "data_sets": {name: asdict(found) for name, found in self.data_sets.items()},
        }


def seed_differences(
    treatment: Float[np.ndarray, "*treated"], control: Float[np.ndarray, "*controlled"]
) -> Float64[np.ndarray, "seed query"]:
    """Treatment minus control, for ``hierarchical``.

    A system that is trained has a row for each seed, and seeds are paired in order; one that is not trained, such as
    BM25 or a model as it was downloaded, has one axis, of queries. Differences below 1e-12 of the largest value are 0.

    Raises:
        ShapeError: other axes, another number of queries, or of seeds.
        DataError: a value that is not finite.
    """
    for name, values in (("treatment", treatment), ("control", control)):
        if values.ndim not in (1, 2):
            raise ShapeError(f"Values are (query) or (seed, query); those of {name} have {values.ndim} axes.")
    if treatment.shape[-1] != control.shape[-1]:
        raise ShapeError(
            f"Paired values must be of the same queries: treatment has {treatment.shape[-1]}, control has "
            f"{control.shape[-1]}. Evaluate both on the same split."
        )
    if treatment.ndim == control.ndim == 2 and len(treatment) != len(control):
        raise ShapeError(
            f"Seeds are paired in order: treatment has {len(treatment)}, control has {len(control)}. "
            "Give those that both have, or the values of an untrained system without an axis for seeds."
        )
    left, right = _finite("treatment", np.atleast_2d(treatment)), _finite("control", np.atleast_2d(control))
    largest = max(float(np.abs(values).max(initial=0)) for values in (left, right))
    return without_rounding(left - right, largest)


def hierarchical(
    differences: Mapping[str, Float[np.ndarray, "_ _"]],
    *,
    shared_seeds: bool = True,
    sampled: bool = False,
    least_seeds: int = 1,
    confidence: float = 0.95,
) -> Hierarchical:
    """The mean difference over data sets, with an interval that knows of queries, seeds and, if asked, data sets.

    Analysis of variance of the crossed model above: the seed means vary by ``seed`` and ``rest`` and give the seeds'
    part of the variance, s^2 / seeds on seeds - 1 degrees; what the queries share over seeds, the mean square of
    queries less that of the rest, is the queries' part. ``Estimate`` adds the parts up. No bootstrap of seeds: three
    values drawn again show two thirds of their variance, and such an interval of 95 % covers some 80 %.

    Two seeds are taken, and their interval is as wide as it must be. One seed in every data set leaves out the seeds'
    part, and ``covers`` says so. Differences of 0 everywhere give the interval [0, 0] and p = 1.

    Args:
        differences: by data set, treatment minus control for each seed and query; see ``seed_differences``.
        shared_seeds: whether one training was measured on all data sets, so that a lucky seed is lucky on all. With
            False, each data set had trainings of its own. True is the careful answer where it is not known.
        sampled: whether the data sets stand for others like them. False is about these data sets only.
        least_seeds: refuse fewer seeds than this.
        confidence: of the intervals.

    Raises:
        DataError: no data set, one query, fewer seeds than ``least_seeds``, one seed in some data sets but several in
            others, one data set where ``sampled``, or a value that is not finite.
        ShapeError: data sets with different numbers of seeds although they are shared.
        ConfigError: ``confidence`` is not between 0 and 1, or ``least_seeds`` is below 1.
    """
    check_share("confidence", confidence, 0.95)
    tables = {name: _finite(f"data set {name!r}", values) for name, values in differences.items()}
    _check_sizes(tables, least_seeds=least_seeds, shared_seeds=shared_seeds, sampled=sampled)
    found = {name: _of_table(values) for name, values in tables.items()}
    if len(found) == 1:
        whole = next(iter(found.values()))
    elif sampled:
        whole = _over_sampled_sets(list(tables.values()), shared_seeds)
    else:
        whole = _over_these_sets(list(tables.values()), list(found.values()), shared_seeds)
    low, high = whole.interval(confidence)
    return Hierarchical(
        estimate=whole,
        low=low,
        high=high,
        confidence=confidence,
        p=whole.p_value(),
        covers=_covers(tables, sampled, shared_seeds),
        data_sets={name: _of_data_set(each, confidence, seeds=len(tables[name])) for name, each in found.items()},
    )


def _of_table(values: Float64[np.ndarray, "seed unit"], units: str = "queries", n: int | None = None) -> Estimate:
    """The mean of a crossed table of seeds and units, with the part of each."""
    seeds, size = values.shape
    mean = float(values.mean())
    if seeds == 1:
        found = varying(Part(source=units, variance=mean_variance(values[0]), degrees=size - 1))
        return Estimate(mean=mean, parts=found, n=n or size)
    of_seed, of_unit = values.mean(axis=1), values.mean(axis=0)
    rest = without_rounding(values - of_seed[:, None] - of_unit + mean, float(np.abs(values).max()))
    rest_variance = float((rest**2).sum()) / ((seeds - 1) * (size - 1)) / values.size
    excess = mean_variance(of_unit) - rest_variance
    found = varying(
        Part(source="seeds", variance=mean_variance(of_seed), degrees=seeds - 1),
        Part(source=units, variance=max(0.0, excess), degrees=size - 1),
    )
    return Estimate(mean=mean, parts=found, n=n or size)


def _over_these_sets(tables: list[Float64[np.ndarray, "_ _"]], found: list[Estimate], shared_seeds: bool) -> Estimate:
    """The mean over data sets that are what they are: variances of sets add up, but seeds that they share do not."""
    count = len(found)
    collected = []
    for source in ("seeds", "queries"):
        parts = [part for each in found for part in each.parts if part.source == source]
        if source == "seeds" and shared_seeds and len(tables[0]) > 1:
            of_seed = np.mean([table.mean(axis=1) for table in tables], axis=0)
            collected.append(Part(source=source, variance=mean_variance(of_seed), degrees=len(of_seed) - 1))
        elif parts:
            variance = sum(part.variance for part in parts)
            degrees = variance**2 / sum(part.variance**2 / part.degrees for part in parts)  # Satterthwaite 1946
            collected.append(Part(source=source, variance=variance / count**2, degrees=degrees))
    mean = float(np.mean([each.mean for each in found]))
    return Estimate(mean=mean, parts=varying(*collected), n=sum(each.n for each in found))


def _over_sampled_sets(tables: list[Float64[np.ndarray, "_ _"]], shared_seeds: bool) -> Estimate:
    """The mean over data sets that stand for others: they vary, and with them their queries and their own seeds."""
    n = sum(table.shape[1] for table in tables)
    if shared_seeds:
        return _of_table(np.stack([table.mean(axis=1) for table in tables], axis=1), "data sets", n)
    return _of_table(np.array([[table.mean() for table in tables]]), "data sets", n)


def _of_data_set(found: Estimate, confidence: float, seeds: int) -> OfDataSet:
    low, high = found.interval(confidence)
    return OfDataSet(mean=found.mean, low=low, high=high, p=found.p_value(), queries=found.n, seeds=seeds)


def _covers(tables: Mapping[str, Float64[np.ndarray, "_ _"]], sampled: bool, shared_seeds: bool) -> str:
    """Seeds of their own vary with the data sets, so that several sampled sets show them without a second seed."""
    seeds = min(len(table) for table in tables.values())
    covered, left = ["the choice of test queries"], []
    if seeds > 1 or (sampled and not shared_seeds):
        covered.append(f"training again ({seeds} {'seed' if seeds == 1 else 'seeds'} for each data set)")
    else:
        left.append("training again, which takes more than one seed")
    if len(tables) > 1:
        (covered if sampled else left).append(
            f"the choice of data sets ({len(tables)})" if sampled else "other data sets"
        )
    return f"Covers {' and '.join(covered)}" + (f"; not {' nor '.join(left)}" if left else "") + "."


def _finite(name: str, values: Float[np.ndarray, "seed query"]) -> Float64[np.ndarray, "seed query"]:
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        seed, query = wrong[0].tolist()
        raise DataError(
            f"Values must be finite; {name} has {len(wrong)} that are not, the first at seed {seed}, query {query}."
        )
    return values.astype(np.float64)


def _check_sizes(
    tables: Mapping[str, Float64[np.ndarray, "_ _"]], *, least_seeds: int, shared_seeds: bool, sampled: bool
) -> None:
    if least_seeds < 1:
        raise ConfigError(f"least_seeds must be at least 1, got {least_seeds}.")
    if not tables:
        raise DataError("There is no data set to compare on.")
    few = [f"{name} has {table.shape[1]}" for name, table in tables.items() if table.shape[1] < 2]
    if few:
        raise DataError(f"A data set needs at least 2 queries to say anything about others: {first_few(few)}.")
    seeds = {name: len(table) for name, table in tables.items()}
    listed = first_few(f"{name} has {count}" for name, count in seeds.items())
    if min(seeds.values()) < least_seeds:
        raise DataError(
            f"This test needs at least {max(1, least_seeds)} training seeds for each data set: {listed}. "
            "Train with more seeds, or allow fewer and say that training again is not covered."
        )
    if shared_seeds and len(set(seeds.values())) > 1:
        raise ShapeError(f"Seeds that data sets share must be equally many: {listed}. Give those that all have.")
    if min(seeds.values()) == 1 < max(seeds.values()):
        raise DataError(f"With one seed in some data sets nothing is known of their training: {listed}.")
    if sampled and len(tables) < 2:
        raise DataError("One data set cannot stand for others: with sampled=True give at least 2, better 5.")
