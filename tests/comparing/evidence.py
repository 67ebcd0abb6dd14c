"""Evidence made up for tests: values of systems on data sets with seeds."""

import numpy as np

from nearfar.comparing.cells import CellCost, Measured
from nearfar.comparing.selection import Evidence
from nearfar.evaluation.comparison import ComparedData, Gap, System


def measured(values, *, prefix="q", cost=None, first=()):
    """What a cell holds, for nDCG@10 alone."""
    values = np.asarray(values, np.float64)
    names = tuple(f"{prefix}{number}" for number in range(len(values)))
    return Measured(queries=names, measures=("nDCG@10",), values=values[:, None], first=first, cost=cost or CellCost())


def evidence(cells, *, seeds=(0, 1, 2), baseline=None, failed=(), untrained=()):
    """Evidence from ``{(system, data set, seed): values}``; what is lacking is a gap."""
    systems = tuple(dict.fromkeys(system for system, _, _ in (*cells, *failed)))
    data_sets = tuple(dict.fromkeys(data_set for _, data_set, _ in cells))
    wanted = [
        (system, data_set, seed)
        for data_set in data_sets
        for system in systems
        for seed in ((None,) if system in untrained else seeds)
    ]
    return Evidence(
        name="made up",
        measure="nDCG@10",
        confidence=0.95,
        baseline=baseline,
        systems=tuple(
            System(name=name, kind="model" if name in untrained else "recipe", settings="") for name in systems
        ),
        data_sets=tuple(ComparedData(name=name, source="", split="test", queries=1, documents=1) for name in data_sets),
        seeds=seeds,
        measured={key: values if isinstance(values, Measured) else measured(values) for key, values in cells.items()},
        gaps=tuple(
            Gap(
                system=key[0], data_set=key[1], seed=key[2], state="failed" if key in failed else "missing", reason="so"
            )
            for key in wanted
            if key not in cells
        ),
    )


def varied(gains, *, data_sets=("one", "two"), seeds=(0, 1, 2), queries=60, seed=0, spread=0.01):
    """Cells of systems that are better by a gain, on queries whose difficulty they share."""
    generator = np.random.default_rng(seed)
    cells = {}
    for data_set in data_sets:
        hard = generator.uniform(0.2, 0.6, queries)
        for system, gain in gains.items():
            for number in seeds:
                noise = spread * generator.normal() + 0.05 * generator.normal(size=queries)
                cells[system, data_set, number] = hard + gain + noise
    return cells
