"""Reading what a mining job wrote: negatives of training queries, texts that sources made, and what they are for.

A folder of a finished job stands for the data that was mined for, with its negatives: ``load`` reads it as any other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Int32, Int64

from nearfar.data.content import data_hash
from nearfar.data.identity import text_keys
from nearfar.data.judgements import merged
from nearfar.data.tables import TRAIN, Dataset, Mined, Texts
from nearfar.errors import DataError, first_few

RECORD, NEGATIVES, MADE, POSITIVES = "mining.json", "negatives.parquet", "made.parquet", "positives.parquet"
FINISHED = "finished"
COLUMNS = ("query_id", "positive_id", "document_id", "rank", "source", "score", "weight", "label", "group")
"""The columns of the negatives that are no further scores by name."""
SCORE = "score"
LABELS = ("negative", "positive", "unknown")


def looks_mined(folder: Path) -> bool:
    """Whether a folder is that of a mining job."""
    return (folder / RECORD).is_file()


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a finished mining job.

    Raises:
        DataError: it cannot be read, or the job has not come to its end.
    """
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / RECORD} cannot be read ({error}). Mine again into another folder.") from error
    if record.get("state") != FINISHED:
        raise DataError(f"The mining job in {folder} has not come to its end. Go on with it: nearfar mine --resume.")
    return record


def check_content(dataset: Dataset, record: Mapping[str, Any], folder: Path) -> None:
    """Make sure that a data set is what was mined for.

    Raises:
        DataError: its content is other.
    """
    if data_hash(dataset) != record.get("data_hash"):
        raise DataError(
            f"The negatives in {folder} were mined for other data: the content of {record.get('data')} has changed "
            "since then. Bring back what it was, or mine again."
        )


def with_mined(dataset: Dataset, folder: Path) -> Dataset:
    """A data set with the negatives that were mined for it.

    Texts that sources made are documents that are not searched. Candidates that were relabelled are relevant from now
    on; those of labelled data, where a document stands for its label, are ignored instead, as are those of which
    nobody knows. A negative that is known to be relevant, or has the text of its query, is left out.

    Args:
        dataset: what was mined for.
        folder: of the mining job.

    Raises:
        DataError: a file is missing or damaged, or speaks of texts that the data set lacks.
    """
    dataset, alias = _with_made(dataset, _table(folder / MADE))
    read = _read(folder / NEGATIVES, dataset, alias)
    ignored, relevant = read.label == "unknown", read.label == "positive"
    if dataset.labels is not None:
        ignored, relevant = ignored | relevant, np.zeros(len(relevant), dtype=np.bool_)
    if relevant.any():
        train = dataset.qrels[TRAIN]
        grown = merged(
            np.concatenate([train.query, read.query[relevant]]),
            np.concatenate([train.node, dataset.nodes[read.document[relevant]]]),
            np.concatenate([train.grade, np.full(relevant.sum(), dataset.positive_from, dtype=np.float32)]),
        )
        dataset = dataset.with_qrels({**dataset.qrels, TRAIN: grown})
    return replace(dataset, mined=never_relevant(dataset, _mined(read, ignored)))


def read_lists(folder: Path, dataset: Dataset) -> Mined:
    """Negatives alone, for the tables as they are: candidates that were relabelled are ignored.

    Raises:
        DataError: as ``with_mined``; or there are made texts, for which the tables have no place.
    """
    if len(_table(folder / MADE)):
        raise DataError(
            f"The sources of {folder} wrote texts of their own, which cannot join while a model trains. Take other "
            "sources for the refresh, or mine before training."
        )
    read = _read(folder / NEGATIVES, dataset, {})
    return never_relevant(dataset, _mined(read, read.label != "negative"))


def positive_scores(folder: Path, dataset: Dataset, name: str) -> dict[tuple[int, int], float]:
    """A score of the positives that negatives were held against, by query row and document row.

    Empty where nobody gave it.
    """
    table = _table(folder / POSITIVES)
    if name not in table.column_names:
        return {}
    query = _rows_of(table["query_id"], dataset.queries, {}, "query", folder / POSITIVES)
    document = _rows_of(table["document_id"], dataset.documents, {}, "document", folder / POSITIVES)
    return dict(zip(zip(query.tolist(), document.tolist(), strict=True), table[name].to_pylist(), strict=True))


def never_relevant(dataset: Dataset, mined: Mined) -> Mined:
    """What was mined without what the training judgements call relevant, and without the queries' own texts."""
    relevant = dataset.positives(TRAIN)
    width = 1 + int(max(dataset.nodes.max(initial=0), relevant.node.max(initial=0)))
    known = relevant.query.astype(np.int64) * width + relevant.node
    query_ids, document_ids = dataset.identities
    related: Bool[np.ndarray, " negative"] = np.isin(
        mined.query.astype(np.int64) * width + dataset.nodes[mined.document], known
    )
    own = query_ids[mined.query] == document_ids[mined.document]
    return mined.at(~(related | own))


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of the file, with table rows in the place of ids."""

    query: Int32[np.ndarray, " row"]
    positive: Int32[np.ndarray, " row"]
    document: Int32[np.ndarray, " row"]
    weight: Float32[np.ndarray, " row"]
    group: Int32[np.ndarray, " row"]
    label: np.ndarray
    scores: Mapping[str, Float32[np.ndarray, " row"]]


def _mined(read: _Rows, ignored: Bool[np.ndarray, " row"]) -> Mined:
    negative = read.label == "negative"
    return Mined(
        query=read.query[negative],
        positive=read.positive[negative],
        document=read.document[negative],
        weight=read.weight[negative],
        group=read.group[negative],
        scores={name: values[negative] for name, values in read.scores.items()},
        ignored_query=read.query[ignored],
        ignored_document=read.document[ignored],
    )


def _table(path: Path) -> pa.Table:
    import pyarrow.parquet as parquet  # a tenth of a second, which only this should cost

    try:
        return parquet.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read ({error}). Mine again into another folder.") from error


def _read(path: Path, dataset: Dataset, alias: Mapping[str, int]) -> _Rows:
    table = _table(path)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise DataError(f"{path} lacks the columns {', '.join(missing)}. Expected {', '.join(COLUMNS)} and scores.")
    query = _rows_of(table["query_id"], dataset.queries, {}, "query", path)
    document = _rows_of(table["document_id"], dataset.documents, alias, "document", path)
    positive = _rows_of(table["positive_id"], dataset.documents, alias, "document", path)
    if (query < 0).any() or (document < 0).any():
        raise DataError(f"{path} has a row without query_id or document_id.")
    label = table["label"].to_numpy()
    if strange := sorted(set(label) - set(LABELS)):
        raise DataError(f"{path} has the labels {first_few(strange)}. Expected {', '.join(LABELS)}.")
    scores = {name: _floats(table[name]) for name in table.column_names if name == SCORE or name not in COLUMNS}
    rank = table["rank"].to_numpy()
    order = np.lexsort((rank, positive, query))
    return _Rows(
        query=query[order],
        positive=positive[order],
        document=document[order],
        weight=_floats(table["weight"])[order],
        group=table["group"].to_numpy().astype(np.int32)[order],
        label=label[order],
        scores={name: values[order] for name, values in scores.items()},
    )


def _floats(column: pa.ChunkedArray) -> Float32[np.ndarray, " row"]:
    values: Float32[np.ndarray, " row"] = column.to_numpy().astype(np.float32)
    return values


def _rows_of(
    ids: pa.ChunkedArray, texts: Texts, alias: Mapping[str, int], side: str, path: Path
) -> Int32[np.ndarray, " row"]:
    """Table rows by id, -1 where there is no id.

    Raises:
        DataError: the table has no such id.
    """
    import pyarrow.compute as compute

    ids = ids.cast(pa.large_string())
    found: Int64[np.ndarray, " row"] = (
        compute.index_in(ids, value_set=texts.ids).fill_null(-1).to_numpy().astype(np.int64)
    )
    for place in np.flatnonzero((found < 0) & ids.is_valid().to_numpy()).tolist():
        name = ids[place].as_py()
        if name not in alias:
            raise DataError(f"{path} speaks of the {side} {name!r}, which the data does not have. Mine again.")
        found[place] = alias[name]
    return found.astype(np.int32)


def _with_made(dataset: Dataset, made: pa.Table) -> tuple[Dataset, dict[str, int]]:
    """The tables with further documents, and the rows of those whose text was there already."""
    if not len(made):
        return dataset, {}
    keys = text_keys(made["text"].to_pylist())
    known = {key.tobytes(): row for row, key in enumerate(dataset.documents.keys)}
    there = np.array([known.get(key.tobytes(), -1) for key in keys], dtype=np.int64)
    ids = made["id"].to_pylist()
    alias = {ids[place]: int(there[place]) for place in np.flatnonzero(there >= 0).tolist()}
    new = np.flatnonzero(there < 0)
    taken = made.take(pa.array(new)).cast(pa.schema([(name, pa.large_string()) for name in made.column_names]))
    texts, start = dataset.documents, int(dataset.nodes.max(initial=-1)) + 1
    start = max(start, 0 if dataset.labels is None else len(dataset.labels))
    grown = replace(
        texts,
        ids=pa.concat_arrays([texts.ids, *taken["id"].chunks]),
        texts=pa.concat_arrays([texts.texts, *taken["text"].chunks]),
        keys=np.concatenate([texts.keys, keys[new]]),
        groups=None
        if texts.groups is None
        else pa.concat_arrays([texts.groups, pa.nulls(len(new), pa.large_string())]),
    )
    names = None if dataset.labels is None else (*dataset.labels, *taken["id"].to_pylist())
    result = replace(
        dataset,
        documents=grown,
        nodes=np.concatenate([dataset.nodes, np.arange(start, start + len(new), dtype=np.int32)]),
        searched=np.concatenate([dataset.searched, np.zeros(len(new), dtype=np.bool_)]),
        labels=names,
    )
    return result, alias
