"""An audit as files: its summary as JSON, its findings as a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nearfar.auditing.finding import Finding
from nearfar.files import atomic, write_json

SUMMARY, FINDINGS, PAGE = "audit.json", "findings.parquet", "audit.html"

_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("kind", "split", "query_id", "document_id", "other_id")),
        *((name, pa.float64()) for name in ("score", "gap", "sure")),
        ("note", pa.string()),
    ]
)


def write_audit(folder: Path, summary: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    """Write ``audit.json`` and ``findings.parquet``, whose rows are in the order in which a human should look.

    Raises:
        ResourceError: a file cannot be written.
    """
    table = pa.Table.from_pylist([finding.row() for finding in findings], schema=_SCHEMA)
    with atomic(folder / FINDINGS) as partial:
        pq.write_table(table, partial, compression="zstd")
    write_json(folder / SUMMARY, summary)
