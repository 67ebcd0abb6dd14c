"""What of the finished cells is compared: only what all systems of a table have finished, so that it is the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nearfar.comparing.cells import Measured
from nearfar.errors import first_few
from nearfar.evaluation.comparison import ComparedData, Gap, System
from nearfar.statistics.values import same_queries

UNTRAINED = None
"""Stands for the seed of a system that is not trained here."""

Key = tuple[str, str, int | None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """What was asked for, and what of it is finished.

    Attributes:
        name: for a title.
        measure: that decides.
        confidence: of intervals.
        baseline: a system, or None.
        systems, data_sets, seeds: what was asked for.
        measured: by system, data set and seed.
        gaps: what is not finished.
    """

    name: str
    measure: str
    confidence: float
    baseline: str | None
    systems: tuple[System, ...]
    data_sets: tuple[ComparedData, ...]
    seeds: tuple[int, ...]
    measured: Mapping[Key, Measured]
    gaps: tuple[Gap, ...] = ()

    def failed(self, system: str, data_set: str) -> bool:
        """Whether a system has finished nothing on a data set because all that was tried there has failed."""
        return any((gap.system, gap.data_set, gap.state) == (system, data_set, "failed") for gap in self.gaps)


@dataclass(frozen=True, eq=False, kw_only=True)
class Selected:
    """What is compared on one data set.

    Attributes:
        data_set: its name.
        queries: ids, in the order of the values.
        seeds: that all trained systems finished; none where nothing was trained.
        values: by system, the measure by seed and query; one row for a system that is not trained.
        trained: systems that have a row for each seed.
        left_out: systems that are not compared here, and why.
    """

    data_set: str
    queries: tuple[str, ...]
    seeds: tuple[int, ...]
    values: Mapping[str, Float64[np.ndarray, "_ _"]]
    trained: frozenset[str]
    left_out: Mapping[str, str]

    def only(self, systems: Sequence[str], rounds: int | None) -> "Selected":
        """The same for some systems, and for so many of the seeds; None for all."""
        return Selected(
            data_set=self.data_set,
            queries=self.queries,
            seeds=self.seeds[:rounds],
            values={
                name: self.values[name][:rounds] if name in self.trained else self.values[name] for name in systems
            },
            trained=self.trained & set(systems),
            left_out=self.left_out,
        )


def on_data_set(evidence: Evidence, data_set: str) -> Selected | None:
    """What can be compared on a data set; None where nothing is finished.

    A system that has finished nothing there is left out. Of the seeds, those count that all others have finished. Where
    there is none, systems are left out until there is, first the one with the fewest.

    Raises:
        DataError: systems that were measured on different queries.
    """
    finished = {
        system.name: [seed for name, on, seed in evidence.measured if (name, on) == (system.name, data_set)]
        for system in evidence.systems
    }
    left_out = {
        name: "all its runs there have failed" if evidence.failed(name, data_set) else "not finished there yet"
        for name, seeds in finished.items()
        if not seeds
    }
    kept = {name: seeds for name, seeds in finished.items() if seeds}
    while not (seeds := _common(kept, evidence.seeds)) and _trained(kept):
        fewest = min(_trained(kept), key=lambda name: len(kept[name]))
        left_out[fewest] = "it has finished no seed there that the others have finished"
        del kept[fewest]
    if not kept:
        return None
    trained = frozenset(_trained(kept))
    rows = {
        (name, seed): evidence.measured[name, data_set, seed].of(evidence.measure)
        for name in kept
        for seed in (seeds if name in trained else (UNTRAINED,))
    }
    queries, arrays = same_queries({_title(*key): values for key, values in rows.items()})
    values = {name: np.stack([arrays[_title(*key)] for key in rows if key[0] == name]) for name in kept}
    return Selected(data_set=data_set, queries=queries, seeds=seeds, values=values, trained=trained, left_out=left_out)


def over_data_sets(evidence: Evidence, found: Sequence[Selected]) -> tuple[list[Selected], dict[str, str]]:
    """What can be compared over several data sets, and which systems cannot.

    A system that has failed on a data set is left out. Of the data sets, those count that all others have finished,
    with equally many seeds.
    """
    failed: dict[str, list[str]] = {}
    for each in found:
        for name in each.left_out:
            if evidence.failed(name, each.data_set):
                failed.setdefault(name, []).append(each.data_set)
    left_out = {name: f"all its runs on {first_few(data_sets)} have failed" for name, data_sets in failed.items()}
    systems = [system.name for system in evidence.systems if system.name not in left_out]
    whole = [each for each in found if systems and all(name in each.values for name in systems)]
    with_seeds = [len(each.seeds) for each in whole if each.trained]
    rounds = min(with_seeds, default=None)
    return [each.only(systems, rounds) for each in whole], left_out


def _trained(finished: Mapping[str, Sequence[int | None]]) -> list[str]:
    return [name for name, seeds in finished.items() if UNTRAINED not in seeds]


def _common(finished: Mapping[str, Sequence[int | None]], seeds: Sequence[int]) -> tuple[int, ...]:
    """Seeds that all trained systems have finished, in the order in which they were asked for."""
    trained = [finished[name] for name in _trained(finished)]
    return tuple(seed for seed in seeds if trained and all(seed in each for each in trained))


def _title(name: str, seed: int | None) -> str:
    return name if seed is None else f"{name}, seed {seed}"
