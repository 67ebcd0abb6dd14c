"""Several tasks for several systems, and their results as JSON and files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from nearfar.config.run import EvaluationOptions
from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Encoder
from nearfar.evaluation.evaluate import cut_name
from nearfar.evaluation.tasks.outcome import Outcome
from nearfar.evaluation.tasks.setting import Embedded, Setting, VectorTask
from nearfar.events import Silent, Sink, track
from nearfar.files import atomic, write_json


def run_tasks(
    tasks: Sequence[VectorTask],
    encoder: Encoder,
    dataset: Dataset,
    split: str,
    options: EvaluationOptions,
    *,
    name: str,
    sink: Sink = Silent(),
) -> dict[str, tuple[Outcome, ...]]:
    """The outcomes of an encoder under its name, and those of its cut vectors under ``name@width``.

    Raises:
        DataError: the data is not what a task needs.
    """
    embedded = Embedded(encoder=encoder, sink=sink)
    widths = {name: None, **{cut_name(name, width): width for width in options.truncate}}
    found = {}
    for system, width in widths.items():
        setting = Setting(
            dataset=dataset,
            split=split,
            embedded=embedded,
            width=width,
            confidence=options.confidence,
            resamples=options.resamples,
        )
        listed = track(tasks, f"tasks of {system}", sink, total=len(tasks))
        found[system] = tuple(task.run(setting) for task in listed)
    return found


def task_summary(systems: Mapping[str, Sequence[Outcome]], kind: str, split: str) -> dict[str, Any]:
    """The outcomes as JSON: the kind of the data, and one row for each system, task and measure."""
    first = next(iter(systems.values()))
    return {
        "split": split,
        "kind": kind,
        "confidence": first[0].confidence,
        "results": [
            {"system": system, **row} for system, found in systems.items() for each in found for row in each.as_rows()
        ],
        "notes": {each.task: list(each.notes) for found in systems.values() for each in found if each.notes},
    }


def write_outcomes(folder: Path, systems: Mapping[str, Sequence[Outcome]], summary: Mapping[str, Any]) -> None:
    """Write ``scores.json``, which holds the summary, and ``per_item.parquet``.

    The table has the columns task, item, column, value, system: one row for each value of each item.

    Raises:
        ResourceError: a file cannot be written.
    """
    parts = [_long(system, each) for system, found in systems.items() for each in found]
    with atomic(folder / "per_item.parquet") as partial:
        parquet.write_table(pa.concat_tables(parts), partial, compression="zstd")
    write_json(folder / "scores.json", summary)


def _long(system: str, found: Outcome) -> pa.Table:
    """One row for each item and column."""
    tables = [
        pa.table(
            {
                "task": [found.task] * len(found.items),
                "item": pa.array(found.items, pa.large_string()),
                "column": [column] * len(found.items),
                "value": values,
                "system": [system] * len(found.items),
            }
        )
        for column, values in found.columns.items()
    ]
    return pa.concat_tables(tables)
