"""The files of a comparison: all numbers as JSON, the values of each query and the cells as tables."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from nearfar.comparing.cells import CellCost, Measured
from nearfar.comparing.selection import Evidence, Key
from nearfar.evaluation.comparison import CELLS, PER_QUERY, Comparison
from nearfar.files import atomic


def write_files(folder: Path, comparison: Comparison, evidence: Evidence) -> None:
    """Write ``per_query.parquet``, ``cells.parquet``, and last ``comparison.json``.

    Raises:
        ResourceError: they cannot be written.
    """
    _write(folder / PER_QUERY, _per_query(evidence.measured, comparison.measures))
    _write(folder / CELLS, _cells(evidence, comparison.measures))
    comparison.write(folder)


def _write(path: Path, table: pa.Table) -> None:
    with atomic(path) as partial:
        parquet.write_table(table, partial, compression="zstd")


def _per_query(measured: Mapping[Key, Measured], measures: tuple[str, ...]) -> pa.Table:
    """A row for each query of each finished cell, a column for each measure."""
    kinds = {"data_set": pa.string(), "system": pa.string(), "seed": pa.int64(), "query_id": pa.string()}
    schema = pa.schema({**kinds, **dict.fromkeys(measures, pa.float64())})
    parts = [schema.empty_table()]
    for (system, data_set, seed), each in measured.items():
        count = len(each.queries)
        columns: dict[str, Any] = {
            "data_set": pa.array([data_set] * count, pa.string()),
            "system": pa.array([system] * count, pa.string()),
            "seed": pa.array([seed] * count, pa.int64()),
            "query_id": pa.array(each.queries, pa.string()),
        }
        for name in measures:
            known = name in each.measures
            values = each.values[:, each.measures.index(name)] if known else np.full(count, np.nan)
            columns[name] = pa.array(values, pa.float64(), from_pandas=True)
        parts.append(pa.table(columns, schema=schema))
    return pa.concat_tables(parts)


def _cells(evidence: Evidence, measures: tuple[str, ...]) -> pa.Table:
    """A row for each cell: its state, what it cost, and the means of its measures."""
    rows: list[dict[str, Any]] = []
    for (system, data_set, seed), each in evidence.measured.items():
        means = dict(zip(each.measures, each.values.mean(axis=0).tolist(), strict=True))
        where = {"system": system, "data_set": data_set, "seed": seed, "state": "finished", "reason": ""}
        rows.append({**where, **asdict(each.cost), **means})
    rows += [{**asdict(gap)} for gap in evidence.gaps]
    kinds = {
        "system": pa.string(),
        "data_set": pa.string(),
        "seed": pa.int64(),
        "state": pa.string(),
        "reason": pa.string(),
    }
    numbers = dict.fromkeys((*(field.name for field in fields(CellCost)), *measures), pa.float64())
    return pa.Table.from_pylist(rows, schema=pa.schema({**kinds, **numbers}))
