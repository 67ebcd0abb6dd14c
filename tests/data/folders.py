"""Small data on disk and in memory for the tests of readers."""

import json

from nearfar.config.data import DataOptions
from nearfar.data import load


def write_lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def write_qrels(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_beir_by_hand(folder, documents=None, queries=None, **qrels):
    documents = {"d1": "first text", "d2": "second text"} if documents is None else documents
    queries = {"q1": "one", "q2": "two"} if queries is None else queries
    write_lines(folder / "corpus.jsonl", [{"_id": name, "text": text} for name, text in documents.items()])
    write_lines(folder / "queries.jsonl", [{"_id": name, "text": text} for name, text in queries.items()])
    for split, rows in (qrels or {"test": [("q1", "d1", 1), ("q2", "d2", 1)]}).items():
        write_qrels(folder / "qrels" / f"{split}.tsv", rows)
    return folder


def load_with(source, **options):
    return load(source, DataOptions(**options))


def pairs_of(dataset, split):
    """{(query text, document text): grade} of a split."""
    qrels = dataset.qrels[split]
    return {
        (dataset.queries.text(query), dataset.documents.text(node)): grade
        for query, node, grade in zip(qrels.query.tolist(), qrels.node.tolist(), qrels.grade.tolist(), strict=True)
    }


def texts_of(column):
    return column.texts.to_pylist()
