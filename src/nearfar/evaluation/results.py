"""Results as files: per-query tables in Parquet, rankings and judgements in the formats of trec_eval.

Every file is written beside its place and moved there when it is whole.
"""

import gzip
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int, Int32

from nearfar.data.tables import Dataset, Texts
from nearfar.errors import DataError, did_you_mean, first_few
from nearfar.evaluation.measures import PerQuery, check_split
from nearfar.files import atomic
from nearfar.types import Hits

COLUMNS = ("query_id", "measure", "value", "system")
_ESCAPED = re.compile(r"[\s%]")


def write_per_query(path: Path, scores: Mapping[str, PerQuery], queries: Texts) -> None:
    """Write the values of several systems as one Parquet table with columns query_id, measure, value, system.

    Raises:
        ResourceError: the file cannot be written.
    """
    parts = [_long(system, values, queries) for system, values in scores.items()]
    table = pa.concat_tables(parts) if parts else _empty()
    with atomic(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_per_query(path: Path, queries: Texts) -> dict[str, PerQuery]:
    """What ``write_per_query`` wrote, by system.

    Raises:
        DataError: the file is missing or no such table, a query is unknown, or a value is missing or given twice.
    """
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as a table with the columns {', '.join(COLUMNS)}: {error}") from error
    found: dict[str, PerQuery] = {}
    for system in table["system"].unique().to_pylist():
        part = table.filter(pa.compute.equal(table["system"], system))
        found[system] = _wide(path, system, part, queries)
    return found


def write_run(path: Path, hits: Hits, query_rows: Int[np.ndarray, " query"], dataset: Dataset, tag: str) -> None:
    """Write rankings as a TREC run, one ``query Q0 document rank score tag`` a line; gzipped if the name ends in .gz.

    Ranks count from 1. White space and ``%`` in ids and in the tag are escaped as in a URL. Scores have nine digits,
    from which a float32 can be read back.

    Raises:
        ResourceError: the file cannot be written.
    """
    label = escape(tag) or "nearfar"
    with _writing(path) as stream:
        for row, documents, scores in zip(query_rows.tolist(), hits.documents, hits.scores, strict=True):
            query = escape(dataset.queries.id(row))
            for place, (document, score) in enumerate(zip(documents.tolist(), scores.tolist(), strict=True), start=1):
                if document < 0:
                    break
                stream.write(f"{query} Q0 {escape(dataset.documents.id(document))} {place} {score:.9g} {label}\n")


def read_run(path: Path, dataset: Dataset, depth: int | None = None) -> tuple[Int32[np.ndarray, " query"], Hits]:
    """Query rows, ascending, and rankings from a TREC run, gzipped or not.

    Documents are ordered by descending score, then by the rank that the file gives.

    Args:
        path: the file.
        dataset: the tables that its ids are in.
        depth: places to keep; all where it is None.

    Raises:
        DataError: the file is missing or empty; a line has no six columns, no number where one belongs, an id that is
            unknown, or a document that its query has already. File, line and column are named.
    """
    entries: dict[int, dict[int, tuple[float, float]]] = {}
    for number, (query_id, _, document_id, rank, score, _) in _lines(path, 6):
        where = f"{path}, line {number}"
        query = _row(query_id, dataset.queries, "query", f"{where}, column 1")
        document = _row(document_id, dataset.documents, "document", f"{where}, column 3")
        ranking = entries.setdefault(query, {})
        if document in ranking:
            raise DataError(f"{where}: query {query_id!r} has document {document_id!r} twice.")
        ranking[document] = (-_number(score, f"{where}, column 5"), _number(rank, f"{where}, column 4"))
    if not entries:
        raise DataError(f"{path} holds no rankings; expected lines 'query Q0 document rank score tag'.")
    rows = np.array(sorted(entries), dtype=np.int32)
    width = max(len(ranking) for ranking in entries.values()) if depth is None else depth
    documents = np.full((len(rows), width), -1, dtype=np.int32)
    scores = np.full((len(rows), width), -np.inf, dtype=np.float32)
    for place, row in enumerate(rows.tolist()):
        ordered = sorted(entries[row].items(), key=lambda item: (item[1], item[0]))[:width]
        documents[place, : len(ordered)] = [document for document, _ in ordered]
        scores[place, : len(ordered)] = [-key[0] for _, key in ordered]
    return rows, Hits(documents, scores)


def write_qrels(path: Path, dataset: Dataset, split: str) -> None:
    """Write the judgements of a split as TREC qrels, one ``query 0 document grade`` a line; gzipped for .gz.

    Every searched document of a judged node has its line, with the grade as it is in the data. Read by trec_eval when
    grades are whole numbers.

    Raises:
        ConfigError: there is no such split.
        ResourceError: the file cannot be written.
    """
    check_split(dataset, split)
    qrels = dataset.qrels[split]
    starts, order = dataset.documents_by_node
    with _writing(path) as stream:
        for query, node, grade in zip(qrels.query.tolist(), qrels.node.tolist(), qrels.grade.tolist(), strict=True):
            documents = order[starts[node] : starts[node + 1]] if node + 1 < len(starts) else order[:0]
            name = escape(dataset.queries.id(query))
            for document in documents[dataset.searched[documents]].tolist():
                stream.write(f"{name} 0 {escape(dataset.documents.id(document))} {grade:.9g}\n")


def escape(name: str) -> str:
    """An id without white space: that and ``%`` are written as in a URL."""
    return _ESCAPED.sub(lambda match: quote(match.group(), safe=""), name)


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    """A text stream into a file that takes its place when it is whole. A gzip file holds no time, so it repeats."""
    with atomic(path) as partial:
        if path.suffix == ".gz":
            with (
                partial.open("wb") as raw,
                gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
                io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as stream,
            ):
                yield stream
        else:
            with partial.open("w", encoding="utf-8", newline="\n") as stream:
                yield stream


def _lines(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Number and columns of every line that is not empty."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                parts = line.split()
                if parts and len(parts) != columns:
                    raise DataError(
                        f"{path}, line {number}: expected {columns} columns (query Q0 document rank score tag), "
                        f"got {len(parts)}: {line.strip()[:80]!r}."
                    )
                if parts:
                    yield number, parts
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _row(name: str, texts: Texts, side: str, where: str) -> int:
    """The row of an id as it stands or unescaped."""
    row = texts.row_of.get(name)
    if row is None:
        row = texts.row_of.get(unquote(name))
    if row is None:
        close = did_you_mean(name, texts.row_of) if len(texts) <= 10_000 else ""
        raise DataError(f"{where}: unknown {side} id {name!r}.{close} Was the run made on this data?")
    return row


def _number(text: str, where: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(f"{where}: expected a finite number, got {text!r}.")
    return value


def _long(system: str, scores: PerQuery, queries: Texts) -> pa.Table:
    """One row for each query and measure."""
    ids = queries.ids.take(pa.array(np.repeat(scores.query_rows, len(scores.measures))))
    names = list(scores.measures) * len(scores.query_rows)
    columns = [ids, pa.array(names, pa.string()), pa.array(scores.values.reshape(-1)), pa.array([system] * len(names))]
    return pa.table([column.cast(kind) for column, kind in zip(columns, _KINDS, strict=True)], names=list(COLUMNS))


_KINDS = (pa.large_string(), pa.string(), pa.float64(), pa.string())


def _empty() -> pa.Table:
    return pa.table([pa.array([], kind) for kind in _KINDS], names=list(COLUMNS))


def _wide(path: Path, system: str, table: pa.Table, queries: Texts) -> PerQuery:
    """One row for each query, one column for each measure."""
    measures = tuple(table["measure"].unique().to_pylist())
    ids = table["query_id"].to_pylist()
    unknown = [name for name in ids if name not in queries.row_of]
    if unknown:
        raise DataError(
            f"{path}: unknown query ids {first_few(dict.fromkeys(unknown))}. Was the table made on this data?"
        )
    rows = np.array([queries.row_of[name] for name in ids], dtype=np.int32)
    query_rows, place = np.unique(rows, return_inverse=True)
    column = np.array([measures.index(name) for name in table["measure"].to_pylist()], dtype=np.int64)
    count = np.zeros((len(query_rows), len(measures)), dtype=np.int64)
    np.add.at(count, (place, column), 1)
    if (count != 1).any():
        raise DataError(
            f"{path}: system {system!r} must have each of {', '.join(measures)} once for each query; query "
            f"{queries.id(int(query_rows[np.argwhere(count != 1)[0][0]]))!r} does not."
        )
    values = np.zeros(count.shape)
    values[place, column] = table["value"].to_numpy()
    return PerQuery(query_rows=query_rows, measures=measures, values=values)
