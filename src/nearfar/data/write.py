"""Writes a data set as a BEIR folder that reads back the same."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.data.beir import CORPUS, HEADER, QRELS, QUERIES
from nearfar.data.tables import TRAIN, Dataset, Qrels, Texts
from nearfar.errors import DataError, ResourceError

TRAIN_PAIRS = "train_pairs.jsonl"


def write_beir(dataset: Dataset, folder: str | Path) -> Path:
    """Write corpus, queries and relevance files; everything appears at once or not at all.

    Aliases are written as rows of their own. Where training pairs mention documents that are not searched, all of
    train goes to ``train_pairs.jsonl``, to be read with ``data.train=train_pairs.jsonl``. Groups become the
    field ``group`` of the queries.

    Returns:
        The folder.

    Raises:
        ResourceError: the folder is not empty, or cannot be written.
        DataError: the data is labelled, which BEIR cannot hold, or an id has a tab or a line end in it.
    """
    target = Path(folder)
    if dataset.labels is not None:
        raise DataError(f"{dataset.name}: labelled data has no BEIR form. Keep it as rows of text and label.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ResourceError(f"{target} exists and is not an empty folder. Choose another name, or remove it.")
    _check_ids(dataset.queries, "query")
    _check_ids(dataset.documents, "document")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise ResourceError(f"{target} cannot be written ({error.strerror or error}).") from None
    try:
        _write_parts(dataset, draft)
        draft.chmod(0o755)
        if target.exists():
            target.rmdir()
        draft.rename(target)
    except OSError as error:
        raise ResourceError(f"{target} cannot be written ({error.strerror or error}).") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _write_parts(dataset: Dataset, draft: Path) -> None:
    searched = dataset.searched
    _write_lines(draft / CORPUS, _text_rows(dataset.documents, searched, title=True))
    _write_lines(draft / QUERIES, _text_rows(dataset.queries, np.ones(len(dataset.queries), dtype=np.bool_)))
    (draft / QRELS).mkdir()
    for name, judgements in dataset.qrels.items():
        if name == TRAIN and not searched[judgements.node].all():
            _write_lines(draft / TRAIN_PAIRS, _pair_rows(dataset, judgements))
        else:
            _write_qrels(draft / QRELS / f"{name}.tsv", dataset, judgements)


def _text_rows(texts: Texts, kept: Any, title: bool = False) -> Iterator[dict[str, str | None]]:
    """One object a text, the aliases after all rows."""
    for row in np.flatnonzero(kept).tolist():
        yield _text_row(texts, row, texts.id(row), title)
    for name, row in texts.aliases.items():
        if kept[row]:
            yield _text_row(texts, row, name, title)


def _text_row(texts: Texts, row: int, name: str, title: bool) -> dict[str, str | None]:
    titles = {"title": ""} if title else {}
    return {"_id": name, **titles, "text": texts.text(row)} | _group(texts, row)


def _group(texts: Texts, row: int) -> dict[str, str | None]:
    """The group of a row as a field of its own, nothing where the table has no groups."""
    return {} if texts.groups is None else {"group": texts.groups[row].as_py()}


def _pair_rows(dataset: Dataset, judgements: Qrels) -> Iterator[dict[str, object]]:
    queries, documents = dataset.queries, dataset.documents
    for query, node, grade in zip(judgements.query, judgements.node, judgements.grade, strict=True):
        yield {
            "query_id": queries.id(int(query)),
            "query": queries.text(int(query)),
            "document_id": documents.id(int(node)),
            "document": documents.text(int(node)),
            "score": float(grade),
        } | _group(queries, int(query))


def _write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def _write_qrels(path: Path, dataset: Dataset, judgements: Qrels) -> None:
    query_ids, document_ids = dataset.queries.ids, dataset.documents.ids
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("\t".join(HEADER) + "\n")
        for query, node, grade in zip(judgements.query, judgements.node, judgements.grade, strict=True):
            shown = int(grade) if float(grade).is_integer() else float(grade)
            stream.write(f"{query_ids[int(query)].as_py()}\t{document_ids[int(node)].as_py()}\t{shown}\n")


def _check_ids(texts: Texts, side: str) -> None:
    for name in texts.row_of:
        if any(character in name for character in "\t\r\n"):
            raise DataError(
                f"The {side} id {name!r} has a tab or a line end in it, which a relevance file cannot hold."
            )
