"""What each system costs, and by which costs no other is both cheaper and at least as good."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np

from nearfar.comparing.cells import CellCost
from nearfar.comparing.selection import Evidence
from nearfar.evaluation.comparison import COST_AXES, Cost, Table


def costs(evidence: Evidence, main: Table | None) -> tuple[Cost, ...]:
    """The costs of each system that has finished anything on the data sets of the main table.

    A cost is the mean over data sets of the mean over seeds, of the runs of which it is known.
    """
    if main is None:
        return ()
    quality = {standing.system: standing.mean for standing in main.standings}
    found = []
    for system in evidence.systems:
        by_data_set = [
            [each.cost for (name, on, _), each in evidence.measured.items() if (name, on) == (system.name, data_set)]
            for data_set in main.data_sets
        ]
        if any(by_data_set):
            known = {field.name: _mean(by_data_set, field.name) for field in fields(CellCost)}
            found.append(Cost(system=system.name, quality=quality.get(system.name), on_front=(), **known))
    fronts = {axis: front({cost.system: (getattr(cost, axis), cost.quality) for cost in found}) for axis in COST_AXES}
    return tuple(
        replace(cost, on_front=tuple(axis for axis in COST_AXES if cost.system in fronts[axis])) for cost in found
    )


def front(systems: Mapping[str, tuple[float | None, float | None]]) -> frozenset[str]:
    """The Pareto front of (cost, quality): systems than which none is better in one and at least as good in the other.

    What has no cost or no quality is not on it; where no two costs differ, there is nothing to choose by, and no front.
    """
    known = {
        name: (cost, quality) for name, (cost, quality) in systems.items() if cost is not None and quality is not None
    }
    if len({cost for cost, _ in known.values()}) < 2:
        return frozenset()

    def beaten(name: str) -> bool:
        cost, quality = known[name]
        return any(
            other_cost <= cost and other >= quality and (other_cost, other) != (cost, quality)
            for other_cost, other in known.values()
        )

    return frozenset(name for name in known if not beaten(name))


def _mean(by_data_set: Sequence[Sequence[CellCost]], name: str) -> float | None:
    parts = [[value for cost in each if (value := getattr(cost, name)) is not None] for each in by_data_set]
    known = [float(np.mean(values)) for values in parts if values]
    return float(np.mean(known)) if known else None
