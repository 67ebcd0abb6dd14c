"""BEIR folders."""

import gzip

import pytest

from nearfar.errors import DataError

from .folders import load_with, pairs_of, texts_of, write_beir_by_hand, write_lines, write_qrels


def test_titles_unjudged_queries_and_split_names(tmp_path):
    write_beir_by_hand(
        tmp_path,
        queries={"q1": "one", "q2": "two", "q3": "three"},
        train=[("q1", "d1", 2)],
        validation=[("q2", "d3", 1)],
    )
    write_lines(
        tmp_path / "corpus.jsonl",
        [
            {"_id": "d1", "title": "Title", "text": "body"},
            {"_id": "d2", "title": "", "text": "title  BODY"},
            {"_id": "d3", "title": "only", "text": ""},
        ],
    )
    (tmp_path / "qrels" / "readme.txt").write_text("x")
    dataset = load_with(tmp_path)
    assert dataset.splits == ("train", "dev")
    assert pairs_of(dataset, "train") == {("one", "Title body"): 2}
    assert pairs_of(dataset, "dev") == {("two", "only"): 1}
    assert dataset.documents.row_of == {"d1": 0, "d3": 1, "d2": 0}
    assert texts_of(dataset.queries) == ["one", "two"]
    assert dataset.facts.duplicate_documents == 1
    assert dataset.facts.notes == (
        "1 queries were left out: no relevance file judges them.",
        "Files in qrels that are no split were ignored: readme.txt.",
    )


def test_everything_gzipped_and_no_header(tmp_path):
    write_beir_by_hand(tmp_path)
    (tmp_path / "qrels" / "test.tsv").write_text("q1\td1\t1\r\nq2\td2\t1")
    for path in [*tmp_path.glob("*.jsonl"), *tmp_path.glob("qrels/*.tsv")]:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert pairs_of(load_with(tmp_path), "test") == {("one", "first text"): 1, ("two", "second text"): 1}


def test_extra_training_pairs(tmp_path):
    write_beir_by_hand(tmp_path)
    write_lines(
        tmp_path / "more.jsonl",
        [
            {"id": "t1", "anchor": "three", "positive": "FIRST text"},
            {"id": "t2", "anchor": "four", "positive": "only here"},
            {"id": "t3", "anchor": "Two", "positive": "leaked"},
        ],
    )
    dataset = load_with(tmp_path, train="more.jsonl")
    assert pairs_of(dataset, "train") == {("three", "first text"): 1, ("four", "only here"): 1}
    assert dict(zip(texts_of(dataset.documents), dataset.searched.tolist(), strict=True)) == {
        "first text": True, "second text": True, "only here": False, "leaked": False,
    }  # fmt: skip
    assert dataset.facts.leaked_queries == 1
    assert dataset.facts.notes[0] == "2 documents occur in more.jsonl only: trained on, not searched."
    assert dataset.queries.row_of["t3"] == dataset.queries.row_of["q2"]


def test_a_missing_file_of_training_pairs(tmp_path):
    write_beir_by_hand(tmp_path)
    with pytest.raises(
        DataError, match=r"data\.train: there is no file .*queris\.jsonl\. Did you mean 'queries\.jsonl'\?"
    ):
        load_with(tmp_path, train="queris.jsonl")


def test_groups_are_a_field_of_the_queries(tmp_path):
    write_beir_by_hand(tmp_path)
    write_lines(tmp_path / "queries.jsonl", [{"_id": "q2", "text": "two"}, {"_id": "q1", "text": "one", "repo": "r"}])
    groups = load_with(tmp_path, group="repo").queries.groups
    assert groups is not None
    assert groups.to_pylist() == [None, "r"]
    with pytest.raises(
        DataError, match=r"queries\.jsonl: no query has the field 'rep', which data\.group names\. Did you mean 'repo'"
    ):
        load_with(tmp_path, group="rep")


def test_unknown_ids_are_counted_by_side(tmp_path):
    rows = [("q1", "d1", 1), *((f"x{n}", "d1", 1) for n in range(7)), ("q2", "D2", 1)]
    write_beir_by_hand(tmp_path, test=rows)
    with pytest.raises(DataError) as caught:
        load_with(tmp_path)
    message = str(caught.value)
    assert "7 lines name a query that queries.jsonl lacks, such as 'x0', 'x1', 'x2', 'x3', 'x4' (first at " in message
    assert "test.tsv:3; ids there look like 'q1')" in message
    assert "1 lines name a document that corpus.jsonl lacks, such as 'D2'" in message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1\td1\thigh", r"test\.tsv:3: column 'score' holds 'high', expected a number"),
        ("q1\td1\tinf", r"test\.tsv:3: column 'score' holds 'inf'"),
        ("q1 d1 1", r"test\.tsv:3: expected 3 fields with tabs between them \(query-id, corpus-id, score\), got 1"),
        ("q1\t0\td1\t1", r"test\.tsv:3: expected 3 fields .* got 4"),
    ],
)
def test_broken_relevance_lines(tmp_path, line, message):
    write_beir_by_hand(tmp_path)
    (tmp_path / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\nq1\td1\t1\n{line}\n")
    with pytest.raises(DataError, match=message):
        load_with(tmp_path)


@pytest.mark.parametrize(
    ("name", "record", "message"),
    [
        (
            "corpus.jsonl",
            {"id_": "d1", "text": "x"},
            r"corpus\.jsonl:1: this document has no '_id'\. .*Found: id_, text",
        ),
        ("corpus.jsonl", {"_id": "d1", "texts": "x"}, r"this document has no 'text'\. Did you mean 'texts'\?"),
        ("corpus.jsonl", {"_id": "d1", "title": "", "text": " "}, r"corpus\.jsonl:1: the document is empty"),
        ("queries.jsonl", {"_id": "q1", "text": None}, r"queries\.jsonl:1: column 'text' is empty"),
    ],
)
def test_broken_texts(tmp_path, name, record, message):
    write_beir_by_hand(tmp_path)
    write_lines(tmp_path / name, [record])
    with pytest.raises(DataError, match=message):
        load_with(tmp_path)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_missing_and_empty_parts(tmp_path, name):
    write_beir_by_hand(tmp_path)
    (tmp_path / name).write_text("")
    with pytest.raises(DataError, match=f"{name} is empty"):
        load_with(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"looks like a BEIR folder, but lacks (corpus|queries|qrels).*Found: "):
        load_with(tmp_path)


def test_only_grades_below_the_bar(tmp_path):
    write_beir_by_hand(tmp_path)
    with pytest.raises(
        DataError, match=r"no query has a positive\. Found 2 judgements, none with a grade of 2 or more"
    ):
        load_with(tmp_path, positive_from=2)
    write_qrels(tmp_path / "qrels" / "test.tsv", [("q1", "d1", 2), ("q2", "d2", 1)])
    dataset = load_with(tmp_path, positive_from=2)
    assert texts_of(dataset.queries) == ["one"]
    assert dataset.facts.notes == ("1 queries were left out: none of their judgements reaches grade 2.",)
