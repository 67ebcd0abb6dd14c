"""From a path or a hub name to a data set: looks at what is there and calls the reader for it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nearfar.config.data import DataOptions
from nearfar.data.beir import looks_like_beir, read_beir
from nearfar.data.collect import SPLIT_NAMES, SPLIT_ORDER, Table
from nearfar.data.columns import find_roles, reject_unused
from nearfar.data.files import READERS, format_of, records, stem_of
from nearfar.data.hub import hub_tables, looks_saved, saved_tables
from nearfar.data.labels import read_labels
from nearfar.data.mined import RECORD, check_content, looks_mined, read_record, with_mined
from nearfar.data.pairs import read_pairs
from nearfar.data.split import split
from nearfar.data.tables import UNSPLIT, Dataset
from nearfar.errors import ConfigError, DataError, did_you_mean, first_few
from nearfar.events import Silent, Sink

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")
SHARD = re.compile(r"-\d{5}-of-\d{5}$")

EXPECTED = (
    "Expected one of: a BEIR folder (corpus.jsonl, queries.jsonl, qrels/); files named train, dev (validation) and "
    f"test ({', '.join(READERS)}, also .gz); one such file with any name; a folder written by datasets.save_to_disk; "
    "a folder written by nearfar mine."
)


def load(source: str | Path, options: DataOptions | None = None, sink: Sink | None = None) -> Dataset:
    """Read a data set.

    Args:
        source: a file, a folder, or ``owner/name`` of a set on the hub when no such path exists.
        options: layout, columns, grades; the splitting options are for ``split``.
        sink: hears how many rows have been read.

    Raises:
        DataError: there is nothing to read there, or what is there is broken; says where and what to do.
        ResourceError: the hub cannot be reached, or the library for it is missing.
    """
    options = DataOptions() if options is None else options
    sink = Silent() if sink is None else sink
    path = Path(source).expanduser()
    if path.is_dir() and looks_mined(path):
        return _load_mined(path, options, sink)
    if path.is_dir():
        return _load_folder(path, str(source), options, sink)
    if options.layout == "beir":
        raise DataError(
            f"data.layout=beir needs a folder with corpus.jsonl, queries.jsonl and qrels/; {source} is none."
        )
    if path.is_file():
        tables = [Table(file=str(path), split=UNSPLIT, rows=records(path, sink))]
        return _load_tables(tables, stem_of(path), str(source), options, [])
    if not HUB_NAME.fullmatch(str(source)) or path.parent.is_dir() or format_of(path) is not None:
        raise _missing(path)
    tables, notes = hub_tables(str(source), sink)
    return _load_tables(tables, str(source).partition("/")[2], str(source), options, notes)


def from_records(
    records: Iterable[Mapping[str, object]], *, name: str = "records", options: DataOptions | None = None
) -> Dataset:
    """A data set from rows in memory, in any layout that a file of rows can have.

    Args:
        records: rows by column, such as ``{"query": "...", "positive": "..."}`` or ``{"text": "...", "label": "..."}``.
        name: what messages and reports call it.
        options: layout, columns, grades.

    Raises:
        DataError: there are no rows, or they are not what they must be; says which row.
    """
    rows = ((row, dict(record)) for row, record in enumerate(records, start=1))
    return _load_tables([Table(file=name, split=UNSPLIT, rows=rows)], name, name, options or DataOptions(), [])


def _load_mined(folder: Path, options: DataOptions, sink: Sink) -> Dataset:
    """The data that was mined for, read and split as it was then, with its negatives.

    Raises:
        DataError: the data is gone or has changed since then, or was mined for in memory.
        ConfigError: other settings of data are asked for than it was mined with.
    """
    record = read_record(folder)
    then = DataOptions.model_validate(record["data_options"])
    if options not in (then, DataOptions()):
        names = [name for name in DataOptions.model_fields if getattr(options, name) != getattr(then, name)]
        raise ConfigError(
            f"{folder} was mined with other settings of data than these: data.{', data.'.join(names)}. Leave them "
            f"out: those in its {RECORD} count."
        )
    source = str(record["data"])
    if not Path(source).expanduser().exists() and HUB_NAME.fullmatch(source) is None:
        raise DataError(
            f"{folder} was mined for {source}, which is not there any more. Bring it back, or, for tables in memory, "
            "join the two with nearfar.data.mined.with_mined(dataset, folder)."
        )
    dataset = split(load(source, then, sink), then)
    check_content(dataset, record, folder)
    return with_mined(dataset, folder)


def _load_folder(folder: Path, source: str, options: DataOptions, sink: Sink) -> Dataset:
    if options.layout == "beir" or (options.layout == "auto" and looks_like_beir(folder)):
        return read_beir(folder, source, options, sink)
    if looks_saved(folder):
        tables, notes = saved_tables(folder, sink)
    else:
        tables, notes = _file_tables(folder, sink)
    return _load_tables(tables, folder.resolve().name, source, options, notes)


def _file_tables(folder: Path, sink: Sink) -> tuple[list[Table], list[str]]:
    """The files of a folder that are splits; else its only file of a known format.

    Raises:
        DataError: neither of the two.
    """
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    readable = [path for path in entries if path.is_file() and format_of(path) is not None]
    found = {path: SPLIT_NAMES.get(SHARD.sub("", stem_of(path).lower())) for path in readable}
    chosen = {path: split for path, split in found.items() if split is not None}
    if not chosen and len(readable) == 1:
        chosen = {readable[0]: UNSPLIT}
    if not chosen:
        shown = [path.name + ("/" if path.is_dir() else "") for path in entries]
        present = f"Found: {first_few(shown, 10)}." if shown else "It is empty."
        raise DataError(f"{folder} has no layout that nearfar knows. {present} {EXPECTED}")
    ignored = [path.name for path in readable if path not in chosen]
    notes = [f"Files that are no split were ignored: {first_few(ignored, 10)}."] if ignored else []
    in_order = sorted(chosen.items(), key=lambda item: SPLIT_ORDER.index(item[1]))
    return [Table(file=str(path), split=split, rows=records(path, sink)) for path, split in in_order], notes


def _load_tables(
    tables: Sequence[Table], name: str, source: str, options: DataOptions, notes: Sequence[str]
) -> Dataset:
    """Read tables as the columns of the first one say."""
    columns, sample, rows = tables[0].peek()
    roles = find_roles(columns, options, tables[0].file)
    reject_unused(options, str(roles.layout))
    tables = [replace(tables[0], rows=rows), *tables[1:]]
    if roles.layout == "labels" and not isinstance(sample[roles.label or ""], list):
        return read_labels(tables, name, source, options, notes)
    return read_pairs(tables, name, source, options, notes)


def _missing(path: Path) -> DataError:
    """The error for a path that does not exist, with the nearest name beside it."""
    parent = path.parent
    if not parent.is_dir():
        return DataError(f"There is no file or folder {path}; its folder {parent} does not exist either.")
    names = sorted(other.name for other in parent.iterdir())
    found = f" The folder {parent} holds: {first_few(names, 10)}." if names else f" The folder {parent} is empty."
    return DataError(f"There is no file or folder {path}.{did_you_mean(path.name, names)}{found}")
