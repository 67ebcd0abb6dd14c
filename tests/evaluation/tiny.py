"""Small data sets for the tests of evaluation, written as dictionaries."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from nearfar.data.identity import text_keys
from nearfar.data.tables import Dataset, Facts, Qrels, Texts
from nearfar.types import Hits


def texts(ids: Sequence[str]) -> Texts:
    """A table whose texts are made of the ids."""
    words = [f"text of {name}" for name in ids]
    return Texts(ids=pa.array(ids, pa.large_string()), texts=pa.array(words, pa.large_string()), keys=text_keys(words))


def qrels(judged: Mapping[int, Mapping[int, float]]) -> Qrels:
    """Judgements from ``{query row: {node: grade}}``."""
    rows = sorted((query, node, grade) for query, nodes in judged.items() for node, grade in nodes.items())
    query, node, grade = zip(*rows, strict=True) if rows else ((), (), ())
    return Qrels(np.array(query, np.int32), np.array(node, np.int32), np.array(grade, np.float32))


def dataset(
    judged: Mapping[int, Mapping[int, float]],
    documents: int,
    queries: int | None = None,
    nodes: Sequence[int] | None = None,
    searched: Sequence[bool] | None = None,
    positive_from: float = 1.0,
    split: str = "test",
    query_ids: Sequence[str] | None = None,
    document_ids: Sequence[str] | None = None,
) -> Dataset:
    """A data set with one split."""
    count = max(judged, default=-1) + 1 if queries is None else queries
    return Dataset(
        name="tiny",
        queries=texts(query_ids or [f"q{row}" for row in range(count)]),
        documents=texts(document_ids or [f"d{row}" for row in range(documents)]),
        nodes=np.arange(documents, dtype=np.int32) if nodes is None else np.array(nodes, np.int32),
        qrels={split: qrels(judged)},
        searched=np.ones(documents, np.bool_) if searched is None else np.array(searched, np.bool_),
        positive_from=float(positive_from),
        facts=Facts(source="test", layout="dictionaries", rows_read=count),
    )


def hits(rankings: Sequence[Sequence[int]], depth: int = 0) -> Hits:
    """Rankings from lists of document rows, padded with -1. All scores are equal: only places may count."""
    width = max([depth, *map(len, rankings)])
    documents = np.full((len(rankings), width), -1, np.int32)
    for row, ranking in enumerate(rankings):
        documents[row, : len(ranking)] = ranking
    return Hits(documents, np.where(documents >= 0, 0.5, -np.inf).astype(np.float32))


def rows(*numbers: int) -> np.ndarray:
    """Query rows."""
    return np.array(numbers, np.int32)
