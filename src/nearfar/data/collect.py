"""What every reader fills: the two tables and the judgements, and the one way from there to a ``Dataset``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from nearfar.config.data import DataOptions
from nearfar.data.builder import TextsBuilder, subset
from nearfar.data.files import Record, Rows
from nearfar.data.judgements import JudgementsBuilder, with_positives, without_leaks
from nearfar.data.places import Place
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset, Facts, Qrels, Texts
from nearfar.errors import DataError

SPLIT_NAMES: Mapping[str, str] = {
    "train": TRAIN, "training": TRAIN,
    "dev": DEV, "validation": DEV, "valid": DEV, "val": DEV, "development": DEV,
    "test": TEST, "testing": TEST,
    "all": UNSPLIT,
}  # fmt: skip
"""The names that splits have in files, in lower case."""

SPLIT_ORDER = (TRAIN, DEV, TEST, UNSPLIT)

LOOK_AHEAD = 100


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows from one file or one part of a saved set.

    Attributes:
        file: what messages call it, usually the path.
        split: the split that all its rows belong to, unless the rows have a split column.
        rows: the records; can be read once.
    """

    file: str
    split: str
    rows: Rows

    def peek(self) -> tuple[list[str], Record, Rows]:
        """Columns in order of appearance, a record that has them as far as the first rows show, and all rows.

        Raises:
            DataError: there are no rows.
        """
        head = list(islice(self.rows, LOOK_AHEAD))
        if not head:
            raise DataError(f"{self.file} is empty. Expected at least one row of data.")
        sample: Record = {}
        for _, record in head:
            for name, value in record.items():
                if sample.get(name) is None:
                    sample[name] = value
        return list(sample), sample, chain(head, self.rows)


@dataclass(kw_only=True)
class Collector:
    """Grows while readers read.

    Attributes:
        queries, documents: the tables to be.
        judgements: by split.
        rows_read: rows of the source.
        notes: for ``Facts``.
    """

    queries: TextsBuilder
    documents: TextsBuilder
    judgements: dict[str, JudgementsBuilder]
    rows_read: int
    notes: list[str]

    @classmethod
    def new(cls) -> "Collector":
        """An empty one."""
        return cls(
            queries=TextsBuilder("query", "q"),
            documents=TextsBuilder("document", "d"),
            judgements={},
            rows_read=0,
            notes=[],
        )

    def split(self, name: str) -> JudgementsBuilder:
        """The judgements of one split."""
        return self.judgements.setdefault(name, JudgementsBuilder())

    def finish(
        self, name: str, source: str, layout: str, options: DataOptions, corpus_size: int | None = None
    ) -> Dataset:
        """The data set: queries without a positive dropped, every query in one split.

        Args:
            name: the name of the data set.
            source: as the user gave it.
            layout: the reader.
            options: ``positive_from`` is used.
            corpus_size: how many documents, from the first, are searched; all when None.

        Raises:
            DataError: no query has a positive.
        """
        duplicates = self.queries.duplicates, self.documents.duplicates
        note_mixed_groups(self.queries, self.notes)
        queries, documents = self.queries.finish(), self.documents.finish()
        qrels = {split: builder.finish() for split, builder in ordered(self.judgements)}
        qrels, leaked = self.clean(qrels, layout, positive_from(options), source)
        queries, qrels = compact(queries, qrels)
        return Dataset(
            name=name,
            queries=queries,
            documents=documents,
            nodes=np.arange(len(documents), dtype=np.int32),
            qrels=qrels,
            searched=np.arange(len(documents)) < (len(documents) if corpus_size is None else corpus_size),
            positive_from=positive_from(options),
            facts=Facts(
                source=source,
                layout=layout,
                rows_read=self.rows_read,
                duplicate_queries=duplicates[0],
                duplicate_documents=duplicates[1],
                leaked_queries=leaked,
                notes=tuple(self.notes),
            ),
        )

    def clean(self, qrels: dict[str, Qrels], layout: str, grade: float, source: str) -> tuple[dict[str, Qrels], int]:
        """Drop queries without positives (not of scored pairs, whose every grade counts) and leaks; note both."""
        judged = sum(len(judgements) for judgements in qrels.values())
        if layout != "scored":
            qrels, dropped = with_positives(qrels, grade)
            if dropped:
                self.notes.append(f"{dropped} queries were left out: none of their judgements reaches grade {grade:g}.")
        if not any(len(judgements) for judgements in qrels.values()):
            raise DataError(
                f"{source}: no query has a positive. Found {judged} judgements, none with a grade of {grade:g} or "
                "more. Check the grades, or lower data.positive_from."
            )
        qrels, leaked, from_dev = without_leaks(qrels)
        note_leaks(leaked, from_dev, self.notes)
        return {split: judgements for split, judgements in qrels.items() if len(judgements)}, leaked


def positive_from(options: DataOptions) -> float:
    """The grade from which a pair is relevant: as given, else 1."""
    return 1.0 if options.positive_from is None else options.positive_from


def note_leaks(leaked: int, from_dev: int, notes: list[str]) -> None:
    """Say how many queries the splits lost because a later split holds the same query."""
    if leaked:
        notes.append(f"{leaked} queries were left out of train because dev or test holds the same query.")
    if from_dev:
        notes.append(f"{from_dev} queries were left out of dev because test holds the same query.")


def note_mixed_groups(builder: TextsBuilder, notes: list[str]) -> None:
    """Say how often a text came with a second group."""
    if builder.mixed_groups:
        notes.append(f"{builder.mixed_groups} times a query came with another group than before; the first counts.")


def ordered(by_split: Mapping[str, JudgementsBuilder]) -> Iterator[tuple[str, JudgementsBuilder]]:
    """The splits that have judgements, in order."""
    return ((split, by_split[split]) for split in SPLIT_ORDER if by_split.get(split))


def compact(queries: Texts, qrels: dict[str, Qrels]) -> tuple[Texts, dict[str, Qrels]]:
    """Only the queries that have judgements, renumbered."""
    used = np.unique(np.concatenate([judgements.query for judgements in qrels.values()])).astype(np.int64)
    if len(used) == len(queries):
        return queries, qrels
    renumbered = {
        split: Qrels(np.searchsorted(used, judgements.query).astype(np.int32), judgements.node, judgements.grade)
        for split, judgements in qrels.items()
    }
    return subset(queries, used), renumbered


def split_of(value: object, place: Place, column: str) -> str:
    """The split that a cell names.

    Raises:
        DataError: no split has this name.
    """
    split = SPLIT_NAMES.get(value.strip().lower()) if isinstance(value, str) else None
    if split is None:
        raise DataError(
            f"{place}: column {column!r} holds {value!r}. Expected train, dev (validation) or test. "
            "If it is no split, switch it off with --set data.columns.split=''."
        )
    return split


def text_of(value: object, column: str, place: Place) -> str:
    """The text of a cell.

    Raises:
        DataError: it holds no text.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise DataError(f"{place}: column {column!r} is empty. Remove the row or fill in its text.")
    raise DataError(f"{place}: column {column!r} holds {type(value).__name__} {value!r:.60}, expected text.")


def optional_text(value: object) -> str | None:
    """The text of a cell that may be empty, such as a group; numbers become text."""
    return None if value is None or value == "" else str(value)


def id_of(value: object, column: str, place: Place) -> str:
    """The id in a cell; a whole number becomes text.

    Raises:
        DataError: neither text nor a whole number, or empty.
    """
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    found = "nothing" if value is None or value == "" else f"{type(value).__name__} {value!r:.60}"
    raise DataError(f"{place}: column {column!r} holds {found}, expected an id (text or a whole number).")


def number_of(value: object, column: str, place: Place) -> float:
    """The grade in a cell.

    Raises:
        DataError: no finite number.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise DataError(
            f"{place}: column {column!r} holds {value!r:.60}, expected a number. If the column is no grade, "
            "switch it off with --set data.columns.score=''."
        )
    return number


def listed(value: object) -> Sequence[object]:
    """A cell that may hold one thing or a list of things."""
    return value if isinstance(value, list) else (value,)
