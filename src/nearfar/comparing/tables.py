"""Tables: means with intervals, comparisons with corrected p-values, and groups that cannot be told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Float64

from nearfar.comparing.selection import Evidence, Selected, on_data_set, over_data_sets
from nearfar.evaluation.comparison import ALL, Standing, Table, Verdict, Versus
from nearfar.statistics.families import Groups, groups, holm
from nearfar.statistics.hierarchical import Hierarchical, hierarchical, seed_differences
from nearfar.statistics.power import detectable

Pair = tuple[str, str]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Raw:
    """A table before correction: what is in it, the interval of each system, the difference of each pair."""

    name: str
    parts: tuple[Selected, ...]
    standings: Mapping[str, Hierarchical]
    differences: Mapping[Pair, Hierarchical]
    left_out: Mapping[str, str]


def tables(evidence: Evidence) -> tuple[Table | None, tuple[Table, ...], tuple[Selected, ...]]:
    """The table over all data sets, if there are several, one for each data set, and what is compared there.

    The comparisons over all data sets are a family; those on single data sets, all together, are another.

    Raises:
        DataError: systems that were measured on different queries.
    """
    selected = [found for data in evidence.data_sets if (found := on_data_set(evidence, data.name)) is not None]
    planned = pairs([system.name for system in evidence.systems], evidence.baseline)
    raw = [_raw(each.data_set, [each], planned, evidence.confidence, each.left_out) for each in selected]
    family = [(data.name, *pair) for data in evidence.data_sets for pair in planned]
    adjusted = holm(
        {(each.name, *pair): found.p for each in raw for pair, found in each.differences.items()}, family=family
    )
    each_one = tuple(
        _table(
            each,
            {pair: adjusted[each.name, *pair] for pair in each.differences},
            len(family),
            evidence,
        )
        for each in raw
    )
    return _overall(evidence, selected, planned), each_one, tuple(selected)


def pairs(systems: Sequence[str], baseline: str | None) -> list[Pair]:
    """The comparisons that are planned: each system with the baseline, or each with each."""
    if baseline is not None:
        return [(name, baseline) for name in systems if name != baseline]
    return list(combinations(systems, 2))


def _overall(evidence: Evidence, selected: Sequence[Selected], planned: Sequence[Pair]) -> Table | None:
    parts, left_out = over_data_sets(evidence, selected)
    if len(parts) < 2:
        return None
    raw = _raw(ALL, parts, planned, evidence.confidence, left_out)
    adjusted = holm({pair: found.p for pair, found in raw.differences.items()}, family=planned)
    return _table(raw, adjusted, len(planned), evidence)


def _raw(
    name: str, parts: Sequence[Selected], planned: Sequence[Pair], confidence: float, left_out: Mapping[str, str]
) -> _Raw:
    def over(values: Mapping[str, Float64[np.ndarray, "_ _"]]) -> Hierarchical:
        # Each data set has trainings of its own, also where their seeds have the same number.
        return hierarchical(values, shared_seeds=False, confidence=confidence)

    def rows(system: str, part: Selected) -> Float64[np.ndarray, "..."]:
        return part.values[system] if system in part.trained else part.values[system][0]

    systems = parts[0].values
    return _Raw(
        name=name,
        parts=tuple(parts),
        standings={system: over({part.data_set: part.values[system] for part in parts}) for system in systems},
        differences={
            (first, second): over(
                {part.data_set: seed_differences(rows(first, part), rows(second, part)) for part in parts}
            )
            for first, second in planned
            if first in systems and second in systems
        },
        left_out=left_out,
    )


def _table(raw: _Raw, adjusted: Mapping[Pair, float], family: int, evidence: Evidence) -> Table:
    alpha, baseline = 1 - evidence.confidence, evidence.baseline
    means = {system: found.mean for system, found in raw.standings.items()}
    order = sorted(means, key=lambda system: (-means[system], system))
    grouped = groups(means, adjusted, alpha=alpha) if baseline is None else None
    versus = [_versus(pair, found, adjusted[pair], family, alpha) for pair, found in raw.differences.items()]
    if baseline is None:  # the better one first
        versus = [_turned(each) if order.index(each.treatment) > order.index(each.control) else each for each in versus]
    versus.sort(key=lambda each: (order.index(each.treatment), order.index(each.control)))
    verdicts = {each.treatment: each.verdict for each in versus} if baseline is not None else {}
    trained = any(part.trained for part in raw.parts)
    covering = max(
        (*raw.differences.values(), *raw.standings.values()),
        key=lambda found: found.data_sets[raw.parts[0].data_set].seeds,
    )
    return Table(
        name=raw.name,
        data_sets=tuple(part.data_set for part in raw.parts),
        seeds={part.data_set: part.seeds for part in raw.parts} if trained else {},
        queries=sum(len(part.queries) for part in raw.parts),
        standings=tuple(_standing(system, raw, grouped, verdicts.get(system)) for system in order),
        groups=grouped.groups if grouped is not None else (),
        versus=tuple(versus),
        family=family,
        covers=covering.covers,
        left_out=dict(raw.left_out),
    )


def _standing(system: str, raw: _Raw, grouped: Groups | None, verdict: Verdict | None) -> Standing:
    found = raw.standings[system]
    inside = all(part.values[system].min() >= 0 and part.values[system].max() <= 1 for part in raw.parts)
    by_seed = np.mean([part.values[system].mean(axis=1) for part in raw.parts], axis=0)
    return Standing(
        system=system,
        mean=found.mean,
        low=max(0.0, found.low) if inside else found.low,  # a share is none beyond 0 and 1
        high=min(1.0, found.high) if inside else found.high,
        by_seed=tuple(by_seed.tolist()),
        letters=grouped.letters[system] if grouped is not None else "",
        leader=grouped is not None and system in grouped.leaders,
        verdict=verdict,
    )


def _versus(pair: Pair, found: Hierarchical, adjusted: float, family: int, alpha: float) -> Versus:
    total = sum(part.variance for part in found.estimate.parts)
    seen = detectable(found.estimate, alpha=alpha / family)
    return Versus(
        treatment=pair[0],
        control=pair[1],
        difference=found.mean,
        low=found.low,
        high=found.high,
        p=found.p,
        adjusted=adjusted,
        verdict="open" if adjusted > alpha else "better" if found.mean > 0 else "worse",
        detectable=seen or None,
        shares={part.source: part.variance / total for part in found.estimate.parts},
    )


def _turned(versus: Versus) -> Versus:
    """The same comparison from the other side."""
    turned: dict[Verdict, Literal["better", "worse", "open"]] = {"better": "worse", "worse": "better", "open": "open"}
    return replace(
        versus,
        treatment=versus.control,
        control=versus.treatment,
        difference=-versus.difference,
        low=-versus.high,
        high=-versus.low,
        verdict=turned[versus.verdict],
    )
