"""Pairs, triplets, scored pairs and texts with several labels: anything whose rows hold a query and documents."""

from collections.abc import Sequence
from dataclasses import replace

from nearfar.config.data import DataOptions
from nearfar.data.collect import (
    Collector,
    Table,
    id_of,
    listed,
    number_of,
    optional_text,
    positive_from,
    split_of,
    text_of,
)
from nearfar.data.columns import Roles, find_roles
from nearfar.data.files import Record, Rows
from nearfar.data.places import Place
from nearfar.data.tables import Dataset
from nearfar.errors import DataError


def read_pairs(
    tables: Sequence[Table], name: str, source: str, options: DataOptions, notes: Sequence[str] = ()
) -> Dataset:
    """Read tables of pairs into one data set.

    Queries and documents without ids are called ``q0`` and ``d0`` by order of first appearance. A negative becomes
    a judgement of grade 0.

    Raises:
        DataError: see ``collect_pairs``.
    """
    collector = Collector.new()
    collector.notes.extend(notes)
    layouts = {collect_pairs(table, collector, options) for table in tables}
    if len(layouts) > 1:
        raise DataError(f"{source}: some files have a grade column and some have not. Add it to all, or remove it.")
    layout = layouts.pop()
    if layout == "scored" and options.positive_from is None:
        collector.notes.append("The pairs are graded and data.positive_from is not set: 1 and more counts as relevant.")
    return collector.finish(name, source, layout, options)


def collect_pairs(table: Table, collector: Collector, options: DataOptions) -> str:
    """Read one table into the collector.

    Returns:
        ``pairs``, ``scored`` or ``multilabel``.

    Raises:
        DataError: a column is missing, a text is empty or no text, a grade is no number, an id has two texts.
    """
    columns, sample, rows = table.peek()
    roles = find_roles(columns, options, table.file)
    layout = roles.layout
    if layout == "labels":
        if not isinstance(sample[roles.label or ""], list):
            raise DataError(f"{table.file}: has texts with labels, expected pairs like the files before it.")
        layout = "multilabel"
        roles = replace(roles, query=roles.text, positive=roles.label, text=None, label=None)
    _read_rows(table, rows, roles, collector, options)
    return str(layout)


def _read_rows(table: Table, rows: Rows, roles: Roles, collector: Collector, options: DataOptions) -> None:
    query_column, query_id, group = roles.query or "", roles.query_id, roles.group
    relevant = max(1.0, positive_from(options))
    queries = collector.queries
    for line, record in rows:
        place = Place(table.file, line)
        collector.rows_read += 1
        query = queries.add(
            text_of(record.get(query_column), query_column, place),
            place,
            None if query_id is None else id_of(record.get(query_id), query_id, place),
            None if group is None else optional_text(record.get(group)),
        )
        split = table.split if roles.split is None else split_of(record.get(roles.split), place, roles.split)
        judgements = collector.split(split)
        documents = _positives(record, roles, place, collector)
        for document, grade in zip(documents, _grades(record, roles, place, len(documents), relevant), strict=True):
            judgements.add(query, document, grade)
        if roles.negatives:
            for document in _negatives(record, roles, place, collector):
                judgements.add(query, document, 0.0)


def _grades(record: Record, roles: Roles, place: Place, documents: int, relevant: float) -> list[float]:
    """The grade of each document of a record: one number for all of them, or a list.

    Raises:
        DataError: a grade is no number, or a list is not as long as that of the documents.
    """
    if roles.score is None:
        return [relevant] * documents
    value = record.get(roles.score)
    if not isinstance(value, list):
        return [number_of(value, roles.score, place)] * documents
    if len(value) != documents:
        raise DataError(
            f"{place}: column {roles.positive!r} holds {documents} texts and {roles.score!r} {len(value)} grades. "
            "Expected one grade for each text."
        )
    return [number_of(each, roles.score, place) for each in value]


def _positives(record: Record, roles: Roles, place: Place, collector: Collector) -> list[int]:
    """Rows of the positive documents of a record.

    Raises:
        DataError: the ids are not as many as the texts.
    """
    column = roles.positive or ""
    value = record.get(column)
    if roles.document_id is None:
        if isinstance(value, str):
            return [collector.documents.add(value, place)]
        return [collector.documents.add(text_of(text, column, place), place) for text in listed(value)]
    texts, ids = listed(value), listed(record.get(roles.document_id))
    if len(texts) != len(ids):
        raise DataError(
            f"{place}: column {column!r} holds {len(texts)} texts and {roles.document_id!r} {len(ids)} ids. "
            "Expected one id for each text."
        )
    return [
        collector.documents.add(text_of(text, column, place), place, id_of(identifier, roles.document_id, place))
        for text, identifier in zip(texts, ids, strict=True)
    ]


def _negatives(record: Record, roles: Roles, place: Place, collector: Collector) -> list[int]:
    """Rows of the negative documents. An empty cell is no negative, since rows may have fewer than others."""
    found = []
    for column in roles.negatives:
        value = record.get(column)
        if isinstance(value, list):
            found += [collector.documents.add(text_of(text, column, place), place) for text in value]
        elif value is not None and value != "":
            found.append(collector.documents.add(text_of(value, column, place), place))
    return found
