"""The one form of a result: a table of items, and measures over it with intervals.

A measure is a function of how often each item counts. So one definition gives the value (each once), its interval (as
often as a bootstrap resample drew it) and the interval of a difference of two systems (the same resamples for both).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.stats import norm, t

from nearfar.errors import ConfigError, DataError, first_few
from nearfar.statistics.bootstrap import bootstrap_counts
from nearfar.statistics.randomisation import randomisation_test

Statistic = Callable[[Float64[np.ndarray, "draw item"]], Float64[np.ndarray, "draw measure"]]
"""From how often each item counts, in each of several draws, to the measures of each draw."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measure of one task, with its bootstrap interval over ``n`` items."""

    measure: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What one system scored in one task.

    Attributes:
        task: the task in its text form.
        unit: what an item is: ``pair``, ``text``, ``query``, ``anchor``, ``episode`` or ``run``.
        items: the name of each item. Two systems can be compared where these are equal.
        columns: values of each item. A column that is called like a measure has that measure as its mean.
        scores: the measures.
        resampled: the measures of each bootstrap resample.
        confidence: of the intervals.
        notes: sentences on what was left out or chosen.
    """

    task: str
    unit: str
    items: tuple[str, ...]
    columns: Mapping[str, Float64[np.ndarray, " item"]]
    scores: tuple[Score, ...]
    resampled: Float64[np.ndarray, "resample measure"]
    confidence: float
    notes: tuple[str, ...] = ()

    def value(self, measure: str) -> float:
        """One measure.

        Raises:
            ConfigError: it is none of this task.
        """
        values = {score.measure: score.value for score in self.scores}
        if measure not in values:
            raise ConfigError(f"{self.task} has no measure {measure!r}; it has {', '.join(values)}.")
        return values[measure]

    def as_rows(self) -> list[dict[str, Any]]:
        """The scores as rows of ``task, measure, value, low, high, n, unit``."""
        return [{"task": self.task, **asdict(score), "unit": self.unit} for score in self.scores]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Treatment minus control in one measure, on the same items.

    Attributes:
        measure: its name.
        value: the difference.
        low, high: its paired bootstrap interval.
        p: of the randomisation test, where the measure is a mean of items; else None: look at the interval.
        n: number of items.
    """

    measure: str
    value: float
    low: float
    high: float
    p: float | None
    n: int


def outcome(
    task: object,
    unit: str,
    items: Sequence[str],
    measures: Sequence[str],
    statistic: Statistic,
    columns: Mapping[str, Float64[np.ndarray, " item"]],
    *,
    confidence: float,
    resamples: int,
    draws: int = 1,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Outcome:
    """Values and percentile bootstrap intervals of the measures of one system.

    Below 50 items the interval is widened as Hesterberg (2015) does, since the percentile interval of a mean is too
    narrow there.

    Args:
        task: its text form is kept.
        unit: what an item is.
        items: the name of each.
        measures: their names.
        statistic: gives ``draws`` columns for each measure, side by side, such as one for each choice of examples.
        columns: values of each item, to be kept.
        confidence: of the intervals.
        resamples: how many.
        draws: columns of each measure. The value is their mean, and resamples draw them as well as the items.
        seed: of the resampling; the same for systems that will be compared.
        notes: sentences to keep.

    Raises:
        DataError: there are no items.
    """
    n = len(items)
    if not n:
        raise DataError(f"{task}: there is nothing to measure: the split holds no {unit} for it.")
    values = statistic(np.ones((1, n))).reshape(len(measures), draws).mean(axis=1)
    drawn = np.concatenate([statistic(counts) for counts in bootstrap_counts(n, resamples, seed)])
    shares = np.concatenate(list(bootstrap_counts(draws, resamples, seed + 1))) / draws
    resampled = np.einsum("rmd,rd->rm", drawn.reshape(resamples, len(measures), draws), shares)
    if 1 < n < 50:
        resampled = values + (resampled - values) * _widening(n, confidence)
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    scores = tuple(
        Score(measure=name, value=float(values[place]), low=float(low[place]), high=float(high[place]), n=n)
        for place, name in enumerate(measures)
    )
    return Outcome(
        task=str(task),
        unit=unit,
        items=tuple(items),
        columns=columns,
        scores=scores,
        resampled=resampled,
        confidence=confidence,
        notes=tuple(notes),
    )


def means_of(values: Float64[np.ndarray, "item measure"]) -> Statistic:
    """The statistic that is the mean of each column."""

    def statistic(counts: Float64[np.ndarray, "draw item"]) -> Float64[np.ndarray, "draw measure"]:
        means: Float64[np.ndarray, "draw measure"] = counts @ values / counts.sum(axis=1, keepdims=True)
        return means

    return statistic


def changes(treatment: Outcome, control: Outcome, *, draws: int = 10_000, seed: int = 0) -> tuple[Change, ...]:
    """Treatment minus control in every measure, paired over the items.

    Raises:
        DataError: they are of different tasks, items or numbers of resamples.
    """
    _check_paired(treatment, control)
    gaps = treatment.resampled - control.resampled
    tail = (1 - treatment.confidence) / 2
    low, high = np.quantile(gaps, [tail, 1 - tail], axis=0)
    found = []
    for place, (left, right) in enumerate(zip(treatment.scores, control.scores, strict=True)):
        p = None
        if left.measure in treatment.columns:
            differences = treatment.columns[left.measure] - control.columns[left.measure]
            p = randomisation_test(differences, draws=draws, seed=seed).p
        gap = left.value - right.value
        found.append(
            Change(measure=left.measure, value=gap, low=float(low[place]), high=float(high[place]), p=p, n=left.n)
        )
    return tuple(found)


def _widening(n: int, confidence: float) -> float:
    """How much wider an interval of Student's t is than one of percentiles, for ``n`` values."""
    upper = (1 + confidence) / 2
    return float(t.ppf(upper, n - 1) / norm.ppf(upper) * np.sqrt(n / (n - 1)))


def _check_paired(treatment: Outcome, control: Outcome) -> None:
    """Refuse two outcomes that are not of the same items."""
    if treatment.task != control.task or treatment.resampled.shape != control.resampled.shape:
        raise DataError(
            f"Only results of one task, with as many resamples, can be compared: got {treatment.task} with "
            f"{len(treatment.resampled)} and {control.task} with {len(control.resampled)}."
        )
    if treatment.items != control.items:
        left, right = dict.fromkeys(treatment.items), dict.fromkeys(control.items)
        alone = [[name for name in one if name not in other] for one, other in ((left, right), (right, left))]
        raise DataError(
            f"{treatment.task}: the two systems were not measured on the same items. Only the first has "
            f"{first_few(alone[0]) or 'none'}; only the second has {first_few(alone[1]) or 'none'}."
            + ("" if any(alone) else " They stand in another order.")
        )
