"""Mined negatives in the forms that other trainers read: sentence-transformers and FlagEmbedding.

Each row is for a query and one of its positives, the labelled list and FlagEmbedding's for a query with all of them.
Nothing is filled up with repeats: where a form wants as many negatives for each row, shorter ones are left out and
counted, or padded with random documents that are not relevant.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from nearfar.data.tables import TRAIN, Dataset, Mined
from nearfar.errors import ConfigError, DataError, did_you_mean
from nearfar.files import atomic

FORMATS: Mapping[str, str] = {
    "triplet": "anchor, positive, negative: a row for each negative",
    "tuple": "anchor, positive, negative_1 to negative_n: a row for each positive",
    "labelled": "anchor, document, label: a row for each pair, label 1 or 0",
    "labelled-list": "anchor, documents, labels: a row for each query, positives first",
    "flagembedding": "query, pos, neg, pos_scores, neg_scores: a row for each query, as JSON lines",
}
"""What a row of each format holds."""

SUFFIXES = (".jsonl", ".parquet")
_PADDING = 5
"""Salt of the draw of padding."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a teacher says of positives and negatives.

    Attributes:
        name: of the score.
        positives: by query row and document row.
    """

    name: str
    positives: Mapping[tuple[int, int], float]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        path: the file.
        rows: how many rows it has.
        short: rows that were left out for having fewer negatives than the form wants, or none.
    """

    path: Path
    rows: int
    short: int


def export(
    dataset: Dataset,
    path: Path,
    format: str,
    *,
    negatives: int | None = None,
    pad: bool = False,
    scores: Scores | None = None,
    seed: int = 0,
) -> Exported:
    """Write the training pairs of a data set with their mined negatives.

    Args:
        dataset: with what was mined for it.
        path: ends in .jsonl or .parquet.
        format: one of ``FORMATS``.
        negatives: of each row, at most, or exactly for ``tuple``; None: all, for ``tuple`` as many as most rows have.
        pad: fill up shorter rows of ``tuple`` with random documents of the corpus that are not relevant.
        scores: for FlagEmbedding, where there is one for every text of every row.
        seed: decides what is filled up with.

    Raises:
        ConfigError: for a format or a file that there is not, or numbers that make no sense.
        DataError: when nothing was mined, or no row is long enough.
    """
    check_export(path, format, negatives, pad)
    if dataset.mined is None:
        raise DataError(f"{dataset.name} has no mined negatives to export. Name the folder of a mining job.")
    lists = _Lists(dataset, dataset.mined, scores)
    if format in ("labelled-list", "flagembedding"):
        rows, short = _of_queries(lists, format, negatives)
    elif format == "tuple":
        width = negatives or lists.usual
        rows, short = _tuples(lists, width, np.random.default_rng((seed, _PADDING)) if pad else None)
    else:
        rows, short = _of_pairs(lists, format, negatives)
    if not rows:
        raise DataError(
            f"No row has {'any' if negatives is None else negatives} negatives, so nothing was written. Mine more for "
            "each query, or ask for fewer."
        )
    with atomic(path) as partial:
        if path.suffix == ".parquet":
            parquet.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
        else:
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            with partial.open("w", encoding="utf-8", newline="\n") as stream:
                stream.writelines(lines)
    return Exported(path=path, rows=len(rows), short=short)


def check_export(path: Path, format: str, negatives: int | None, pad: bool) -> None:
    """Refuse what cannot be written, before anything is read.

    Raises:
        ConfigError: for a format or a file that there is not, or numbers that make no sense.
    """
    if format not in FORMATS:
        raise ConfigError(
            f"There is no format {format!r}.{did_you_mean(format, FORMATS)} There are: {', '.join(FORMATS)}."
        )
    endings = (".jsonl",) if format == "flagembedding" else SUFFIXES
    if path.suffix not in endings:
        raise ConfigError(f"{path} must end in {' or '.join(endings)} for the format {format}.")
    if negatives is not None and negatives < 1:
        raise ConfigError(f"A row needs at least 1 negative, got {negatives}.")
    if pad and format != "tuple":
        raise ConfigError(f"Rows of the format {format} may have any length, so there is nothing to pad.")


class _Lists:
    """The training pairs and their negatives, by rows of the tables."""

    def __init__(self, dataset: Dataset, mined: Mined, scores: Scores | None) -> None:
        self.dataset, self._mined = dataset, mined
        self._starts, self._members = dataset.documents_by_node
        self._relevant = dataset.positives(TRAIN)
        self._query_ids, self._document_ids = dataset.identities
        self._scores = None if scores is None else mined.scores.get(scores.name)
        self._positive_scores = {} if scores is None else scores.positives

    def queries(self) -> list[int]:
        """Training queries, ascending."""
        found: list[int] = np.unique(self._relevant.query).tolist()
        return found

    def positives(self, query: int) -> list[int]:
        """The documents that are relevant to a query, without its own text."""
        rows = slice(*np.searchsorted(self._relevant.query, [query, query + 1]))
        documents = [
            document
            for node in self._relevant.node[rows].tolist()
            for document in self._members[self._starts[node] : self._starts[node + 1]].tolist()
        ]
        return [each for each in documents if self._document_ids[each] != self._query_ids[query]]

    def negatives(self, query: int, positive: int | None = None) -> list[tuple[int, float]]:
        """Documents and their scores, the hardest first; those of all lists of a query where no positive is named."""
        rows = np.arange(*np.searchsorted(self._mined.query, [query, query + 1]))
        for_pair = self._mined.positive[rows]
        rows = rows if positive is None else rows[(for_pair < 0) | (for_pair == positive)]
        found: dict[int, float] = {}
        for row in rows.tolist():
            score = float("nan") if self._scores is None else float(self._scores[row])
            found.setdefault(int(self._mined.document[row]), score)
        return list(found.items())

    def score_of(self, query: int, positive: int) -> float:
        """The score of a positive, NaN without one."""
        return float(self._positive_scores.get((query, positive), np.nan))

    @property
    def usual(self) -> int:
        """How many negatives most pairs have; the larger number where two are as frequent."""
        lengths = [len(self.negatives(*pair)) for pair in self.pairs()]
        counts = np.bincount([length for length in lengths if length] or [1])
        return int(len(counts) - 1 - counts[::-1].argmax())

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Training queries with each of their positives."""
        return ((query, positive) for query in self.queries() for positive in self.positives(query))

    def text(self, document: int) -> str:
        """The text of a document."""
        return self.dataset.documents.text(document)


def _of_pairs(lists: _Lists, format: str, most: int | None) -> tuple[list[dict[str, Any]], int]:
    """Triplets, or labelled pairs, in which each text of a query comes once."""
    rows: list[dict[str, Any]] = []
    short, done = 0, set()
    for query, positive in lists.pairs():
        negatives = lists.negatives(query, positive)[:most]
        short += not negatives
        anchor, text = lists.dataset.queries.text(query), lists.text(positive)
        if format == "triplet":
            rows += [{"anchor": anchor, "positive": text, "negative": lists.text(each)} for each, _ in negatives]
            continue
        for document, label in ((positive, 1), *((each, 0) for each, _ in negatives)) if negatives else ():
            if (query, document) not in done:
                done.add((query, document))
                rows.append({"anchor": anchor, "document": lists.text(document), "label": label})
    return rows, short


def _tuples(lists: _Lists, width: int, random: np.random.Generator | None) -> tuple[list[dict[str, Any]], int]:
    """Rows of the same number of negatives."""
    rows, short = [], 0
    searched = np.flatnonzero(lists.dataset.searched)
    for query, positive in lists.pairs():
        negatives = [each for each, _ in lists.negatives(query, positive)][:width]
        if random is not None and negatives:
            negatives += _others(lists, query, negatives, width - len(negatives), searched, random)
        if len(negatives) < width:
            short += 1
            continue
        row = {"anchor": lists.dataset.queries.text(query), "positive": lists.text(positive)}
        rows.append(row | {f"negative_{place}": lists.text(each) for place, each in enumerate(negatives, start=1)})
    return rows, short


def _others(
    lists: _Lists, query: int, taken: list[int], count: int, searched: np.ndarray, random: np.random.Generator
) -> list[int]:
    """Random documents of the corpus that are not known to belong to a query; fewer where there are not as many."""
    if not count:
        return []
    known = {*taken, *lists.positives(query)}
    mined = lists.dataset.mined
    assert mined is not None
    known |= set(mined.ignored_document[mined.ignored_query == query].tolist())
    own = lists.dataset.identities[0][query]
    drawn = random.choice(searched, min(len(searched), count + len(known) + 1), replace=False)
    free = [each for each in drawn.tolist() if each not in known and lists.dataset.identities[1][each] != own]
    return free[:count]


def _of_queries(lists: _Lists, format: str, most: int | None) -> tuple[list[dict[str, Any]], int]:
    """Labelled lists, or rows of FlagEmbedding."""
    rows, short, said = [], 0, []
    for query in lists.queries():
        negatives, positives = lists.negatives(query)[:most], lists.positives(query)
        if not negatives or not positives:
            short += 1
            continue
        anchor = lists.dataset.queries.text(query)
        right, wrong = [lists.text(each) for each in positives], [lists.text(each) for each, _ in negatives]
        if format == "labelled-list":
            labels = [1] * len(right) + [0] * len(wrong)
            rows.append({"anchor": anchor, "documents": right + wrong, "labels": labels})
            continue
        rows.append({"query": anchor, "pos": right, "neg": wrong})
        said.append(([lists.score_of(query, each) for each in positives], [score for _, score in negatives]))
    if said and all(np.isfinite([*pos, *neg]).all() for pos, neg in said):
        rows = [row | {"pos_scores": pos, "neg_scores": neg} for row, (pos, neg) in zip(rows, said, strict=True)]
    return rows, short
