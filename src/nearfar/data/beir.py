"""BEIR folders: a corpus, queries, and relevance files by split."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nearfar.config.data import DataOptions
from nearfar.data.builder import TextsBuilder
from nearfar.data.collect import SPLIT_NAMES, Collector, Table, id_of, number_of, optional_text, text_of
from nearfar.data.files import Record, counted, format_of, json_records, lines, records, stem_of
from nearfar.data.judgements import JudgementsBuilder
from nearfar.data.pairs import collect_pairs
from nearfar.data.places import Place
from nearfar.data.tables import TRAIN, Dataset
from nearfar.errors import DataError, did_you_mean, first_few
from nearfar.events import Sink

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"
HEADER = ("query-id", "corpus-id", "score")


def either(folder: Path, name: str) -> Path | None:
    """``name`` or ``name.gz`` in a folder, None when there is neither."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def looks_like_beir(folder: Path) -> bool:
    """Whether a folder has a part that only BEIR folders have."""
    return either(folder, CORPUS) is not None or either(folder, QUERIES) is not None or (folder / QRELS).is_dir()


def read_beir(folder: Path, source: str, options: DataOptions, sink: Sink) -> Dataset:
    """Read a BEIR folder; a document's text is its title and its text.

    Raises:
        DataError: a part is missing or broken, or relevance files name unknown ids.
    """
    corpus, queries, relevance = _parts(folder)
    collector = Collector.new()
    _read_texts(corpus, collector.documents, collector, sink)
    corpus_size = len(collector.documents)
    _read_texts(queries, collector.queries, collector, sink, options.group)
    unknown = Unknown()
    for path, split in relevance:
        _read_qrels(path, collector, collector.split(split), unknown, sink)
    unknown.refuse(collector, folder)
    idle = len(collector.queries) - len(set().union(*(found.queries() for found in collector.judgements.values())))
    if idle:
        collector.notes.append(f"{idle} queries were left out: no relevance file judges them.")
    ignored = sorted(path.name for path in (folder / QRELS).iterdir() if path not in {path for path, _ in relevance})
    if ignored:
        collector.notes.append(f"Files in {QRELS} that are no split were ignored: {first_few(ignored)}.")
    if options.train is not None:
        _read_training_pairs(folder / options.train, collector, options, sink)
    return collector.finish(folder.resolve().name, source, "beir", options, corpus_size)


def _parts(folder: Path) -> tuple[Path, Path, list[tuple[Path, str]]]:
    """The corpus, the queries, and the relevance files with their splits.

    Raises:
        DataError: one of the three is missing.
    """
    found = [either(folder, CORPUS), either(folder, QUERIES)]
    directory = folder / QRELS
    relevance = [
        (path, SPLIT_NAMES[stem_of(path).lower()])
        for path in (sorted(directory.iterdir()) if directory.is_dir() else [])
        if format_of(path) == ".tsv" and stem_of(path).lower() in SPLIT_NAMES
    ]
    missing = [name for name, path in zip((CORPUS, QUERIES), found, strict=True) if path is None]
    if not relevance:
        missing.append(f"{QRELS}/train.tsv, dev.tsv or test.tsv")
    corpus, queries = found
    if missing or corpus is None or queries is None:
        present = sorted(path.name + ("/" if path.is_dir() else "") for path in folder.iterdir())
        raise DataError(
            f"{folder} looks like a BEIR folder, but lacks {' and '.join(missing)}. Found: {first_few(present, 10)}. "
            f"Expected {CORPUS}, {QUERIES} (each may end in .gz) and a folder {QRELS}."
        )
    return corpus, queries, relevance


def _read_texts(path: Path, builder: TextsBuilder, collector: Collector, sink: Sink, group: str | None = None) -> None:
    """Read one of the two files of texts."""
    side = builder.side
    number, grouped = 0, group is None
    for number, record in counted(json_records(path), path.name, sink):
        place = Place(str(path), number)
        collector.rows_read += 1
        name = "_id" if "_id" in record else "id"
        if name not in record or "text" not in record:
            wanted = "_id" if name not in record else "text"
            raise DataError(
                f"{place}: this {side} has no {wanted!r}.{did_you_mean(wanted, record)} Found: {', '.join(record)}. "
                "Expected _id, text and, for documents, perhaps title."
            )
        grouped = grouped or group in record
        text = _document_text(record, place) if side == "document" else text_of(record["text"], "text", place)
        label = None if group is None else optional_text(record.get(group))
        builder.add(text, place, id_of(record[name], name, place), label)
    if number == 0:
        raise DataError(f"{path} is empty. Expected one {side} on each line.")
    if not grouped:
        raise DataError(
            f"{path}: no {side} has the field {group!r}, which data.group names.{did_you_mean(str(group), record)} "
            f"Found: {', '.join(record)}."
        )


def _document_text(record: Record, place: Place) -> str:
    title = record.get("title")
    text = text_of(record["text"], "text", place)
    if not title:
        return text
    title = text_of(title, "title", place)
    return f"{title} {text}" if text else title


class Unknown:
    """Ids in relevance files that the other files lack: how many lines, and the first few ids."""

    def __init__(self) -> None:
        self.lines = {"query": 0, "document": 0}
        self.ids: dict[str, dict[str, Place]] = {"query": {}, "document": {}}

    def add(self, side: str, identifier: str, place: Place) -> None:
        """Take one line with an unknown id."""
        self.lines[side] += 1
        if len(self.ids[side]) < 5:
            self.ids[side].setdefault(identifier, place)

    def refuse(self, collector: Collector, folder: Path) -> None:
        """Raise if there was any.

        Raises:
            DataError: with the counts and first ids of each side.
        """
        parts = []
        for side, file, builder in (("query", QUERIES, collector.queries), ("document", CORPUS, collector.documents)):
            if self.lines[side]:
                shown = ", ".join(repr(identifier) for identifier in self.ids[side])
                first = next(iter(self.ids[side].values()))
                known = next(iter(builder.given_ids()), "")
                parts.append(
                    f"{self.lines[side]} lines name a {side} that {file} lacks, such as {shown} (first at {first}; "
                    f"ids there look like {known!r})"
                )
        if parts:
            raise DataError(
                f"{folder / QRELS}: {'; '.join(parts)}. Add the missing rows, or remove these lines from the "
                "relevance files."
            )


def _read_qrels(path: Path, collector: Collector, judgements: JudgementsBuilder, unknown: Unknown, sink: Sink) -> None:
    """Read one relevance file. A first line whose grade is no number is its header."""
    number = 0
    for number, fields in _qrels_lines(path):
        place = Place(str(path), number)
        if number == 1 and not _is_number(fields[2]):
            continue
        collector.rows_read += 1
        grade = number_of(fields[2], HEADER[2], place)
        query, document = collector.queries.row_of(fields[0]), collector.documents.row_of(fields[1])
        if query < 0:
            unknown.add("query", fields[0], place)
        if document < 0:
            unknown.add("document", fields[1], place)
        if query >= 0 and document >= 0:
            judgements.add(query, document, grade)
    if number == 0:
        raise DataError(f"{path} is empty. Expected the header {' '.join(HEADER)} and one judgement on each line.")


def _qrels_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines(path):
        fields = line.rstrip("\r\n").split("\t")
        if len(fields) == 3:
            yield number, fields
        elif line.strip():
            raise DataError(
                f"{Place(str(path), number)}: expected 3 fields with tabs between them ({', '.join(HEADER)}), "
                f"got {len(fields)}."
            )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_training_pairs(path: Path, collector: Collector, options: DataOptions, sink: Sink) -> None:
    """Add the pairs of a further file to the training judgements.

    Raises:
        DataError: the file does not exist or cannot be read as pairs.
    """
    if not path.is_file():
        near = did_you_mean(path.name, (other.name for other in path.parent.iterdir())) if path.parent.is_dir() else ""
        raise DataError(f"data.train: there is no file {path}.{near} Give its name relative to the BEIR folder.")
    before = len(collector.documents)
    table = Table(file=str(path), split=TRAIN, rows=records(path, sink))
    columns, _, rows = table.peek()
    if options.group not in columns:
        options = options.model_copy(update={"group": None})
    collect_pairs(replace(table, rows=rows), collector, options)
    new = len(collector.documents) - before
    if new:
        collector.notes.append(f"{new} documents occur in {path.name} only: trained on, not searched.")
