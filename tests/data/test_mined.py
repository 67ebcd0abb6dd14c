"""A folder of a mining job stands for its data, with negatives."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearfar.config.data import DataOptions
from nearfar.data.content import data_hash
from nearfar.data.load import load
from nearfar.data.mined import check_content, looks_mined, positive_scores, read_lists, with_mined
from nearfar.data.split import split
from nearfar.errors import ConfigError, DataError
from nearfar.negatives.output import write_record
from tests import runs
from tests.data.memory import make

OPTIONS = DataOptions(dev=0.2, test=0.2, minimum_queries=2, seed=3)


def table(rows):
    """From (query, positive, document, rank, label)."""
    columns = dict(
        zip(("query_id", "positive_id", "document_id", "rank", "label"), zip(*rows, strict=True), strict=True)
    )
    return pa.table(
        {
            **{name: pa.array(columns[name], pa.large_string()) for name in ("query_id", "positive_id", "document_id")},
            "rank": pa.array(columns["rank"], pa.int32()),
            "source": ["BM25()"] * len(rows),
            "score": pa.array([1.0] * len(rows), pa.float32()),
            "teacher": pa.array([0.1 * place for place in range(len(rows))], pa.float32()),
            "weight": pa.array([0.5] * len(rows), pa.float32()),
            "label": columns["label"],
            "group": pa.array([2] * len(rows), pa.int32()),
        }
    )


def write(folder, rows, made=()):
    folder.mkdir(exist_ok=True)
    parquet.write_table(table(rows), folder / "negatives.parquet")
    columns = {
        "id": [f"made{place}" for place in range(len(made))],
        "text": list(made),
        "parent_id": [None] * len(made),
    }
    schema = pa.schema([(name, pa.large_string()) for name in columns])
    parquet.write_table(pa.table(columns, schema=schema), folder / "made.parquet")
    positives = {"query_id": ["q0", "q1"], "document_id": ["d0", "d1"], "teacher": [0.9, 0.8]}
    parquet.write_table(pa.table(positives), folder / "positives.parquet")
    return folder


def small(**more):
    return make(["zero", "one"], [f"text {number}" for number in range(6)], {"train": [(0, 0, 1), (1, 1, 1)]}, **more)


def rows_of(mined):
    return list(zip(mined.query.tolist(), mined.positive.tolist(), mined.document.tolist(), strict=True))


def test_rows_by_hand(tmp_path):
    rows = [
        ("q1", "d1", "d3", 0, "negative"),
        ("q0", None, "d5", 1, "negative"),
        ("q0", None, "d2", 0, "negative"),
        ("q0", None, "d3", -1, "positive"),
        ("q1", "d1", "d2", 1, "unknown"),
    ]
    found = with_mined(small(), write(tmp_path, rows))
    assert rows_of(found.mined) == [(0, -1, 2), (0, -1, 5), (1, 1, 3)]
    assert found.mined.scores["teacher"].round(6).tolist() == pytest.approx([0.2, 0.1, 0.0])
    assert set(found.mined.scores) == {"score", "teacher"}
    assert found.mined.weight.tolist() == [0.5] * 3
    assert found.mined.group.tolist() == [2] * 3
    assert (found.mined.ignored_query.tolist(), found.mined.ignored_document.tolist()) == ([1], [2])
    train = found.qrels["train"]
    assert list(zip(train.query.tolist(), train.node.tolist(), strict=True)) == [(0, 0), (0, 3), (1, 1)]
    alone = read_lists(tmp_path, small())
    assert rows_of(alone) == rows_of(found.mined)
    assert set(zip(alone.ignored_query.tolist(), alone.ignored_document.tolist(), strict=True)) == {(0, 3), (1, 2)}
    assert positive_scores(tmp_path, small(), "teacher") == {(0, 0): 0.9, (1, 1): 0.8}
    assert positive_scores(tmp_path, small(), "judge") == {}


def test_what_is_relevant_is_never_a_negative(tmp_path):
    """Not even where the file says so, as for what was relabelled in another list."""
    rows = [("q0", None, "d0", 0, "negative"), ("q0", None, "d2", 1, "negative"), ("q0", None, "d2", -1, "positive")]
    assert rows_of(with_mined(small(), write(tmp_path, rows)).mined) == []


def test_made_texts_are_documents_that_are_not_searched(tmp_path):
    rows = [
        ("q0", None, "made0", 0, "negative"),
        ("q0", None, "made1", 1, "negative"),
        ("q1", None, "made1", 0, "negative"),
        ("q1", None, "made2", 1, "negative"),
    ]
    found = with_mined(small(), write(tmp_path, rows, ["a new text", "TEXT  1", " Zero "]))
    assert len(found.documents) == 8
    assert found.documents.take([6, 7]) == ["a new text", " Zero "]
    assert found.searched.tolist() == [True] * 6 + [False] * 2
    assert found.nodes.tolist() == list(range(8))
    # TEXT 1 is document 1 in other letters, and that is relevant to query 1.
    assert rows_of(found.mined) == [(0, -1, 6), (0, -1, 1), (1, -1, 7)]
    assert found.documents.row_of["made0"] == 6


def test_relabelled_texts_of_labels_are_ignored(tmp_path):
    dataset = make(["a", "b", "c"], ["a", "b", "c"], {"train": [(0, 0, 1), (1, 1, 1), (2, 0, 1)]}, layout="labels")
    dataset = replace(dataset, nodes=np.array([0, 1, 0], dtype=np.int32), labels=("x", "y"))
    found = with_mined(dataset, write(tmp_path, [("q0", None, "d1", -1, "positive")], ["new"]))
    assert len(found.qrels["train"]) == 3
    assert found.mined.ignored_document.tolist() == [1]
    assert found.nodes.tolist() == [0, 1, 0, 2]
    assert found.labels == ("x", "y", "made0")


@pytest.fixture
def job(tmp_path):
    """A file of pairs, and the folder of a job for it."""
    data = runs.write_pairs(tmp_path / "pairs.jsonl", 60)
    dataset = split(load(data, OPTIONS), OPTIONS)
    train = dataset.query_rows("train").tolist()
    others = [int(row) for row in np.setdiff1d(np.arange(60), dataset.qrels["train"].node)]
    names = [dataset.queries.id(row) for row in train]
    rows = [(name, None, dataset.documents.id(others[0]), 0, "negative") for name in names]
    folder = write(tmp_path / "mined", rows)
    write_record(folder, str(data), OPTIONS.model_dump(mode="json"), data_hash(dataset), model="m")
    return data, folder, dataset


def test_a_folder_is_the_data_that_was_mined_for(job):
    _, folder, dataset = job
    assert looks_mined(folder)
    for options in (DataOptions(), OPTIONS):
        found = load(folder, options)
        assert found.splits == dataset.splits
        assert len(found.mined) == len(dataset.query_rows("train"))
        assert split(found, DataOptions(dev=0.3)) is found
        assert data_hash(found) != data_hash(dataset)
        assert data_hash(replace(found, mined=None)) == data_hash(dataset)


def test_data_that_has_changed_is_refused(job):
    data, folder, dataset = job
    with data.open("a") as stream:
        stream.write(json.dumps({"query": "something new", "positive": "said done"}) + "\n")
    with pytest.raises(DataError, match=r"were mined for other data: the content of .*pairs.jsonl has changed"):
        load(folder)
    check_content(dataset, json.loads((folder / "mining.json").read_text()), folder)
    data.unlink()
    with pytest.raises(DataError, match=r"was mined for .*pairs.jsonl, which is not there any more.*with_mined"):
        load(folder)


def test_other_settings_are_refused(job):
    with pytest.raises(ConfigError, match=r"other settings of data than these: data.dev, data.test.*Leave them out"):
        load(job[1], DataOptions(dev=0.3, minimum_queries=2, seed=3))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "negatives.parquet").write_bytes(b"PAR"), "negatives.parquet cannot be read"),
        (lambda folder: (folder / "made.parquet").unlink(), "made.parquet cannot be read"),
        (lambda folder: (folder / "mining.json").write_text("{"), "mining.json cannot be read"),
        (lambda folder: (folder / "mining.json").write_text('{"state": "x"}'), "has not come to its end.*--resume"),
        (lambda folder: write(folder, [("q0", None, "d999", 0, "negative")]), "speaks of the document 'd999'"),
        (lambda folder: write(folder, [("x", None, "d0", 0, "negative")]), "speaks of the query 'x'"),
        (lambda folder: write(folder, [("q0", None, None, 0, "negative")]), "a row without query_id or document_id"),
        (lambda folder: write(folder, [("q0", None, "d0", 0, "maybe")]), "labels maybe. Expected negative, positive"),
        (
            lambda folder: parquet.write_table(pa.table({"query_id": ["q0"]}), folder / "negatives.parquet"),
            "lacks the columns positive_id, document_id",
        ),
    ],
)
def test_what_is_broken_is_told(job, spoil, message):
    spoil(job[1])
    with pytest.raises(DataError, match=message):
        load(job[1])
