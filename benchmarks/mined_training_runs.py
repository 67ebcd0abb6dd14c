"""The arms of ``mined_training.py``, their runs as they are kept, and what they say beside one another."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.config.mining import MiningOptions
from nearfar.statistics.paired import compare

IN_BATCH, UNFILTERED = "in-batch", "unfiltered"
CONTROLS = (IN_BATCH, UNFILTERED)
ONE_WAY = "InfoNCE(temperature=0.05)"
BOTH_WAYS = "InfoNCE(temperature=0.05, directions=symmetric)"
HARDNESS = "HardnessWeighted(temperature=0.05)"
NEGATIVES = 4

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A way to train.

    Attributes:
        ours: or that of sentence-transformers.
        source: what proposes candidates.
        filter: by name; None: no filter.
        removed: the share of all candidates that the filter drops; None for the default filter.
        suspects: ``ignore`` or ``forget`` what the filter dropped where it stands in a batch.
        mined: whether there are mined negatives at all.
        loss: of sentence-transformers: ``ranking`` or ``guided``.
        objective: of nearfar; by default the one that ``ranking`` is, so that negatives are all that differs.
    """

    ours: bool = True
    source: str = "Dense"
    filter: str | None = None
    removed: float | None = 0.0
    suspects: str = "forget"
    mined: bool = True
    loss: str = "ranking"
    objective: str = ONE_WAY


ARMS = {
    IN_BATCH: Arm(mined=False),
    "theirs in-batch": Arm(ours=False, mined=False),
    UNFILTERED: Arm(),
    "theirs mined": Arm(ours=False),
    "default": Arm(filter="Percent", removed=None, suspects="ignore"),
    "default, hardness": Arm(filter="Percent", removed=None, suspects="ignore", objective=HARDNESS),
    "percent 1": Arm(filter="Percent", removed=0.01),
    "percent 1, ignored": Arm(filter="Percent", removed=0.01, suspects="ignore"),
    "hybrid, percent 1, ignored": Arm(source="Hybrid", filter="Percent", removed=0.01, suspects="ignore"),
    "percent 5": Arm(filter="Percent", removed=0.05),
    "margin 1": Arm(filter="Margin", removed=0.01),
    "in-batch, both ways": Arm(mined=False, objective=BOTH_WAYS),
    "theirs guided": Arm(ours=False, loss="guided"),
}
"""Numbers are the percentages that filters drop; ``default`` is what ``nearfar mine`` does unless it is told else."""
PLAIN = {True: IN_BATCH, False: "theirs in-batch"}
"""The arm of each side that decides about its learning rate."""


def filters_of(arm: Arm) -> str:
    """The setting ``mining.filters`` of an arm."""
    if arm.filter is None:
        return "[]"
    if arm.removed is None:
        (default,) = MiningOptions().filters
        return default
    return f"Removing(share={arm.removed:g}, filter={arm.filter})"


class Runs:
    """The finished runs of all comparisons, one JSON line each, and the test values of their queries."""

    def __init__(self, out: Path) -> None:
        self.out, self.file = out, out / "runs.jsonl"
        (out / "values").mkdir(parents=True, exist_ok=True)

    def read(self) -> list[Row]:
        """All of them."""
        if not self.file.is_file():
            return []
        return [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]

    def find(self, key: Row) -> Row | None:
        """The run of a key, if it is there."""
        return next((row for row in self.read() if key.items() <= row.items()), None)

    def add(self, row: Row, values: np.ndarray) -> Row:
        """Keep a run."""
        row = {**row, "values": f"values/{os.urandom(8).hex()}.npy"}
        np.save(self.out / row["values"], values)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        return row

    def values(self, row: Row) -> np.ndarray:
        """The test values of a run, in the order of the queries."""
        values: np.ndarray = np.load(self.out / row["values"])
        return values


def chosen(rows: Sequence[Row], ours: bool) -> list[Row]:
    """The runs of a side with its rate: the better one of its plain arm, on dev, by the first seed."""
    plain = [row for row in rows if row["arm"] == PLAIN[ours]]
    first = min(row["seed"] for row in plain)
    rate = max((row for row in plain if row["seed"] == first), key=lambda row: row["dev"])["rate"]
    mine = [row for row in rows if row["rate"] == rate and ARMS[row["arm"]].ours == ours]
    return list({(row["arm"], row["seed"]): row for row in mine}.values())  # two processes may do the same run


def summary(rows: Sequence[Row], runs: Runs) -> Row:
    """One comparison: each arm against in-batch, and our best against theirs, by dev."""
    rows = [row for ours in PLAIN if any(row["arm"] == PLAIN[ours] for row in rows) for row in chosen(rows, ours)]
    arms = {name: found for name in ARMS if (found := [row for row in rows if row["arm"] == name])}
    values = {name: np.mean([runs.values(row) for row in found], axis=0) for name, found in arms.items()}

    def against(treatment: str, control: str) -> Row:
        found = compare(values[treatment], values[control], seed=0)
        return {"treatment": treatment, "control": control, **found.as_dict()}

    def entry(name: str, found: list[Row]) -> Row:
        return {
            "arm": name,
            "rate": found[0]["rate"],
            "rows": found[0]["rows"],
            "dev": float(np.mean([row["dev"] for row in found])),
            "test": float(values[name].mean()),
            "seeds": {str(row["seed"]): row["test"] for row in found},
            "against": {other: against(name, other) for other in CONTROLS if other in values and other != name},
        }

    entries = [entry(name, found) for name, found in arms.items()]
    sides = [[each for each in entries if ARMS[each["arm"]].ours == ours] for ours in (True, False)]
    best = [max(side, key=lambda each: each["dev"])["arm"] for side in sides if side]
    shared = {name: rows[0][name] for name in ("data", "model", "queries", "epochs", "max_length")}
    return {**shared, "arms": entries, "best": against(*best) if len(best) == 2 else None}


def summaries(runs: Runs) -> list[Row]:
    """All comparisons."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in runs.read():
        shared = tuple(row[name] for name in ("data", "model", "queries", "epochs", "max_length"))
        groups.setdefault(shared, []).append(row)
    return [summary(rows, runs) for rows in groups.values()]


def table(found: Row) -> str:
    """A comparison as Markdown."""
    lines = [
        f"{found['data']}, {found['model']}, {found['queries'] or 'all'} queries, {found['epochs']:g} epochs",
        "",
        f"| arm | rate | dev | test | seeds | against {' | against '.join(CONTROLS)} |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found["arms"]:
        tests = list(each["seeds"].values())
        spread = f"{min(tests):.4f} to {max(tests):.4f} ({len(tests)})"
        numbers = f"{each['rate']:g} | {each['dev']:.4f} | {each['test']:.4f} | {spread}"
        compared = " | ".join(difference(each["against"].get(control)) for control in CONTROLS)
        lines.append(f"| {each['arm']} | {numbers} | {compared} |")
    if found["best"] is not None:
        best = found["best"]
        lines += ["", f"{best['treatment']} against {best['control']}: {difference(best)}"]
    return "\n".join(lines)


def difference(found: Row | None) -> str:
    """A difference with its interval."""
    return "" if found is None else f"{found['mean']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
