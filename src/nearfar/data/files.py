"""Rows of files: JSON lines, CSV, TSV (each also gzipped) and Parquet, one record at a time, each with its line."""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from nearfar.data.places import Place
from nearfar.errors import DataError
from nearfar.events import Progress, Sink

Record = dict[str, Any]
Rows = Iterator[tuple[int, Record]]
"""Records with the line or row that each came from."""

REPORT_EVERY = 20_000
LONGEST_FIELD = 1 << 30


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers from 1, with line ends, without a byte order mark.

    Raises:
        DataError: broken UTF-8, corrupt gzip, or a file that cannot be read.
    """
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            for raw in stream:
                number += 1
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{Place(str(path), number)}: byte {error.start + 1} of this line is not UTF-8 "
                        f"(0x{raw[error.start]:02x}). Save the file as UTF-8."
                    ) from None
                yield number, line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: expected gzip, but the file is corrupt or cut off after line {number} ({error}). "
            "Copy or compress it again."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def json_records(path: Path) -> Rows:
    """One JSON object a line; blank lines are skipped."""
    for number, line in lines(path):
        if line.isspace():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{Place(str(path), number)}: broken JSON ({error}). Expected one complete object on each line."
            ) from None
        if not isinstance(record, dict):
            raise DataError(
                f'{Place(str(path), number)}: expected a JSON object such as {{"query": ...}}, '
                f"got {type(record).__name__}. Write one object a line (JSON lines)."
            )
        yield number, record


def separated_records(path: Path, separator: str) -> Rows:
    """Rows of a CSV or TSV file under the names of its first line. A field in double quotes may span lines."""
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader((line for _, line in lines(path)), delimiter=separator, strict=True)
    header: list[str] | None = None
    start = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{Place(str(path), start)}: broken quotes ({error}). A field that starts with a double quote must "
                "end with one, and double quotes inside it are written twice."
            ) from None
        if fields is None:
            return
        if header is None:
            header = _checked_header(fields, path)
        elif fields:
            if len(fields) != len(header):
                raise DataError(
                    f"{Place(str(path), start)}: expected {len(header)} fields ({', '.join(header)}), "
                    f"got {len(fields)}. Put a field that holds the separator or a line end into double quotes."
                )
            yield start, dict(zip(header, fields, strict=True))
        start = reader.line_num + 1


def _checked_header(header: list[str], path: Path) -> list[str]:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(
            f"{Place(str(path), 1)}: column {twice[0]!r} occurs twice in the first line. Rename one of them."
        )
    return header


def csv_records(path: Path) -> Rows:
    """Rows of a comma separated file."""
    return separated_records(path, ",")


def tsv_records(path: Path) -> Rows:
    """Rows of a tab separated file."""
    return separated_records(path, "\t")


def parquet_records(path: Path) -> Rows:
    """Rows of a Parquet file, counted from 1."""
    import pyarrow.parquet as parquet  # loads slowly, and most data is text

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a readable Parquet file ({reason}). Write or copy it again.") from None


READERS: dict[str, Callable[[Path], Rows]] = {
    ".jsonl": json_records,
    ".ndjson": json_records,
    ".json": json_records,
    ".csv": csv_records,
    ".tsv": tsv_records,
    ".parquet": parquet_records,
}


def format_of(path: Path) -> str | None:
    """The suffix that says how to read a file, without ``.gz``; None when we cannot read such files."""
    inner = path.with_suffix("") if path.suffix == ".gz" else path
    suffix = inner.suffix.lower()
    return suffix if suffix in READERS and not (suffix == ".parquet" and path.suffix == ".gz") else None


def stem_of(path: Path) -> str:
    """The file's name without its suffixes: ``train`` for ``train.jsonl.gz``."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).stem


def records(path: Path, sink: Sink) -> Rows:
    """The rows of any file we can read, with progress.

    Raises:
        DataError: a format we do not read, or whatever the file's own reader finds.
    """
    suffix = format_of(path)
    if suffix is None:
        raise DataError(
            f"{path}: no reader for {path.suffix or 'a file without suffix'}. "
            f"Expected {', '.join(READERS)}, all but Parquet also with .gz."
        )
    return counted(READERS[suffix](path), path.name, sink)


def counted(rows: Rows, name: str, sink: Sink) -> Rows:
    """The same rows; the sink hears how many have been read, now and then and at the end."""
    done = 0
    for item in rows:
        yield item
        done += 1
        if done % REPORT_EVERY == 0:
            sink.emit(Progress(task=f"reading {name}", done=done))
    sink.emit(Progress(task=f"reading {name}", done=done, total=done))
