"""Texts that carry one label each: the relevance node of a text is its label."""

from array import array
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int32

from nearfar.config.data import DataOptions
from nearfar.data.builder import TextsBuilder, subset
from nearfar.data.collect import (
    SPLIT_ORDER,
    Table,
    id_of,
    note_leaks,
    note_mixed_groups,
    optional_text,
    ordered,
    split_of,
    text_of,
)
from nearfar.data.columns import Roles, find_roles
from nearfar.data.files import Rows
from nearfar.data.judgements import JudgementsBuilder, without_leaks
from nearfar.data.places import Place
from nearfar.data.tables import DEV, TEST, TRAIN, Dataset, Facts, Qrels
from nearfar.errors import DataError, first_few


class LabelCollector:
    """Grows while tables of labelled texts are read."""

    def __init__(self) -> None:
        self.texts = TextsBuilder("text", "t")
        self.numbers: dict[str, int] = {}
        self.label = array("i")
        self.label_split = array("i")
        self.relabelled = 0
        self.contradictions: list[str] = []
        self.judgements: dict[str, JudgementsBuilder] = {}
        self.rows_read = 0

    def read(self, table: Table, options: DataOptions) -> None:
        """Read one table.

        Raises:
            DataError: a column is missing, a text or label is empty, a text has two labels.
        """
        columns, _, rows = table.peek()
        roles = find_roles(columns, options, table.file)
        if roles.layout != "labels":
            raise DataError(f"{table.file}: has pairs, expected texts with labels like the files before it.")
        self._read_rows(table, rows, roles)

    def _read_rows(self, table: Table, rows: Rows, roles: Roles) -> None:
        text_column, label_column = roles.text or "", roles.label or ""
        for line, record in rows:
            place = Place(table.file, line)
            self.rows_read += 1
            row = self.texts.add(
                text_of(record.get(text_column), text_column, place),
                place,
                None if roles.query_id is None else id_of(record.get(roles.query_id), roles.query_id, place),
                None if roles.group is None else optional_text(record.get(roles.group)),
            )
            name = _label_of(record.get(label_column), label_column, place)
            number = self.numbers.setdefault(name, len(self.numbers))
            split = table.split if roles.split is None else split_of(record.get(roles.split), place, roles.split)
            if row == len(self.label):
                self.label.append(number)
                self.label_split.append(SPLIT_ORDER.index(split))
            elif self.label[row] != number:
                self._disagree(row, number, SPLIT_ORDER.index(split), place)
            self.judgements.setdefault(split, JudgementsBuilder()).add(row, number, 1.0)

    def _disagree(self, row: int, number: int, split: int, place: Place) -> None:
        """A text comes again with another label: wrong within a split; between splits the held out one counts."""
        if split == self.label_split[row]:
            names = list(self.numbers)
            self.contradictions.append(
                f"the label {names[number]!r} at {place} and {names[self.label[row]]!r} at {self.texts.place(row)}"
            )
            return
        self.relabelled += 1
        if split > self.label_split[row]:
            self.label[row], self.label_split[row] = number, split

    def refuse_contradictions(self) -> None:
        """Raise if a text carries two labels within a split.

        Raises:
            DataError: with the number of such rows and the first few.
        """
        if self.contradictions:
            raise DataError(
                f"{len(self.contradictions)} rows repeat a text of the same split with another label: "
                f"{first_few(self.contradictions, 3)}. Keep one of the rows, or give every row a list of labels in a "
                "column named labels."
            )


def _label_of(value: object, column: str, place: Place) -> str:
    if isinstance(value, list):
        raise DataError(
            f"{place}: column {column!r} holds a list. Expected one label in every row, or a list in every row."
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return id_of(value, column, place)


def read_labels(
    tables: Sequence[Table], name: str, source: str, options: DataOptions, notes: Sequence[str] = ()
) -> Dataset:
    """Read tables of labelled texts into one data set.

    Every text is a query, judged relevant to its label. The documents are the texts of train that neither dev nor
    test holds, or all texts when there is no train. A text never counts as its own positive, so one whose
    label has no other document is left out of the judgements.

    Raises:
        DataError: see ``LabelCollector.read``; or no text has a partner with the same label.
    """
    collector = LabelCollector()
    for table in tables:
        collector.read(table, options)
    collector.refuse_contradictions()
    found_notes = list(notes)
    note_mixed_groups(collector.texts, found_notes)
    if collector.relabelled:
        found_notes.append(
            f"{collector.relabelled} texts have another label in another split; the label of the held out split counts."
        )
    queries = collector.texts.finish()
    qrels, leaked, from_dev = without_leaks({split: found.finish() for split, found in ordered(collector.judgements)})
    note_leaks(leaked, from_dev, found_notes)
    repeats = collector.rows_read - len(queries)
    dataset = Dataset(
        name=name,
        queries=queries,
        documents=queries,
        nodes=np.array(collector.label, dtype=np.int32),
        qrels={split: judgements for split, judgements in qrels.items() if len(judgements)},
        searched=np.ones(len(queries), dtype=np.bool_),
        positive_from=1.0,
        labels=tuple(collector.numbers),
        facts=Facts(
            source=source,
            layout="labels",
            rows_read=collector.rows_read,
            duplicate_queries=repeats,
            duplicate_documents=repeats,
            leaked_queries=leaked,
            notes=tuple(found_notes),
        ),
    )
    return answerable(without_held_out(dataset))


def without_held_out(dataset: Dataset) -> Dataset:
    """Labelled data whose documents are the texts of train only; unchanged when there is no train.

    ``documents`` of the data set must be texts of its queries.
    """
    if TRAIN not in dataset.qrels:
        return dataset
    query_identity, document_identity = dataset.identities
    held_out = [dataset.qrels[split].query for split in (DEV, TEST) if split in dataset.qrels]
    kept = np.ones(len(dataset.documents), dtype=np.bool_)
    if held_out:
        kept = ~np.isin(document_identity, query_identity[np.concatenate(held_out)])
    rows = np.flatnonzero(kept)
    return replace(
        dataset, documents=subset(dataset.documents, rows), nodes=dataset.nodes[rows], searched=dataset.searched[rows]
    )


def answerable(dataset: Dataset) -> Dataset:
    """Labelled data without judgements of queries whose label holds no document but the query's own text.

    Raises:
        DataError: no query is left.
    """
    sizes = np.bincount(dataset.nodes, minlength=len(dataset.labels or ()))
    own = _own_label(dataset)
    qrels: dict[str, Qrels] = {}
    notes = list(dataset.facts.notes)
    for split, judgements in dataset.qrels.items():
        others = sizes[judgements.node] - (own[judgements.query] == judgements.node)
        keep = others > 0
        if not keep.all():
            notes.append(f"{int((~keep).sum())} queries were left out of {split}: no other document has their label.")
        if keep.any():
            qrels[split] = Qrels(judgements.query[keep], judgements.node[keep], judgements.grade[keep])
    if not qrels:
        raise DataError(f"{dataset.facts.source}: no two texts share a label, so nothing can be learnt or measured.")
    return replace(dataset, qrels=qrels, facts=replace(dataset.facts, notes=tuple(notes)))


def _own_label(dataset: Dataset) -> Int32[np.ndarray, " query"]:
    """The label under which each query's own text is among the documents, -1 where it is not."""
    query_identity, document_identity = dataset.identities
    label = np.full(max(query_identity.max(initial=-1), document_identity.max(initial=-1)) + 1, -1, dtype=np.int32)
    label[document_identity] = dataset.nodes
    own: Int32[np.ndarray, " query"] = label[query_identity]
    return own
