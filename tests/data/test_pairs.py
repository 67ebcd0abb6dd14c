"""Pairs, triplets, scored pairs and several labels, from every kind of file."""

import gzip

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearfar.errors import ConfigError, DataError

from .folders import load_with, pairs_of, texts_of, write_lines


def test_pairs_with_negatives_become_judgements(tmp_path):
    write_lines(
        tmp_path / "a.jsonl",
        [
            {"anchor": "one", "positive": "d a", "negative_1": "d b", "negative_2": "d c"},
            {"anchor": "ONE", "positive": "d c", "negative_1": "d b", "negative_2": None},
            {"anchor": "two", "positive": "D  a", "negative_1": "d e", "negative_2": ""},
        ],
    )
    dataset = load_with(tmp_path / "a.jsonl")
    assert dataset.splits == ("all",)
    assert pairs_of(dataset, "all") == {
        ("one", "d a"): 1, ("one", "d b"): 0, ("one", "d c"): 1, ("two", "d a"): 1, ("two", "d e"): 0,
    }  # fmt: skip
    assert dataset.queries.ids.to_pylist() == ["q0", "q1"]
    assert dataset.documents.ids.to_pylist() == ["d0", "d1", "d2", "d3"]
    assert dataset.nodes.tolist() == [0, 1, 2, 3]
    assert dataset.searched.all()
    assert (dataset.name, dataset.facts.layout, dataset.facts.rows_read) == ("a", "pairs", 3)
    assert (dataset.facts.duplicate_queries, dataset.facts.duplicate_documents) == (0, 0)


def test_list_columns_and_ids(tmp_path):
    write_lines(
        tmp_path / "a.jsonl",
        [
            {"qid": 7, "question": "one", "pos": ["a", "b"], "doc_id": ["x", "y"], "hard_negatives": ["c"]},
            {"qid": 8, "question": "One", "pos": ["a"], "doc_id": ["z"], "hard_negatives": []},
        ],
    )
    dataset = load_with(tmp_path / "a.jsonl")
    assert pairs_of(dataset, "all") == {("one", "a"): 1, ("one", "b"): 1, ("one", "c"): 0}
    assert dataset.queries.row_of == {"7": 0, "8": 0}
    assert dataset.documents.row_of == {"x": 0, "y": 1, "d2": 2, "z": 0}
    assert (dataset.facts.duplicate_queries, dataset.facts.duplicate_documents) == (1, 1)


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "csv.gz", "tsv", "parquet"])
def test_the_same_folder_in_every_format(tmp_path, kind):
    splits = {
        "Train": [("one", "a", "b"), ("two", "b", "c")],
        "validation": [("three", "c", "a")],
        "test": [("four", "d", "a")],
    }
    for split, rows in splits.items():
        records = [dict(zip(("query", "passage", "negative"), row, strict=True)) for row in rows]
        path = tmp_path / f"{split}.{kind}"
        if kind == "parquet":
            parquet.write_table(pa.Table.from_pylist(records), path)
            continue
        separator = "\t" if kind == "tsv" else ","
        if kind.startswith("jsonl"):
            path = write_lines(tmp_path / f"{split}.jsonl", records)
            content = path.read_bytes()
        else:
            content = "".join(separator.join(row) + "\n" for row in [tuple(records[0]), *rows]).encode()
        if kind.endswith(".gz"):
            path.unlink(missing_ok=True)
            path = tmp_path / f"{split}.{kind}"
            content = gzip.compress(content)
        path.write_bytes(content)
    dataset = load_with(tmp_path)
    assert dataset.splits == ("train", "dev", "test")
    assert texts_of(dataset.queries) == ["one", "two", "three", "four"]
    assert pairs_of(dataset, "train") == {("one", "a"): 1, ("one", "b"): 0, ("two", "b"): 1, ("two", "c"): 0}
    assert pairs_of(dataset, "dev") == {("three", "c"): 1, ("three", "a"): 0}


def test_scored_pairs_keep_their_grades_and_their_low_ones(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("sentence1,sentence2,score\na,b,4.5\na,c,0\nd,b,0.2\n")
    dataset = load_with(path)
    assert dataset.facts.layout == "scored"
    assert pairs_of(dataset, "all") == {("a", "b"): 4.5, ("a", "c"): 0, ("d", "b"): pytest.approx(0.2)}
    assert "data.positive_from is not set" in dataset.facts.notes[0]
    assert load_with(path, positive_from=4).facts.notes == ()
    assert load_with(path, positive_from=4).query_rows("all").tolist() == [0]
    assert load_with(path, layout="pairs").qrels["all"].grade.tolist() == [1, 1, 1]


def test_a_label_column_beside_two_texts_is_the_grade(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"sentence1": "a", "sentence2": "b", "label": 1}])
    assert load_with(path).facts.layout == "scored"


def test_mapped_columns_come_before_known_names(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl", [{"query": "no", "mine": "yes", "positive": "a", "bad": "b", "id": "same"}]
    )
    dataset = load_with(path, columns={"query": "mine", "negative": "bad", "query_id": ""})
    assert pairs_of(dataset, "all") == {("yes", "a"): 1, ("yes", "b"): 0}
    assert dataset.queries.ids.to_pylist() == ["q0"]


def test_a_split_column_in_one_file(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl",
        [
            {"query": "a", "document": "x", "split": "train"},
            {"query": "b", "document": "y", "split": "Validation"},
            {"query": "c", "document": "z", "split": "test"},
        ],
    )
    dataset = load_with(path)
    assert {name: len(qrels) for name, qrels in dataset.qrels.items()} == {"train": 1, "dev": 1, "test": 1}
    assert load_with(path, columns={"split": ""}).splits == ("all",)


def test_an_unknown_split_name(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"query": "a", "document": "x", "split": "trian"}])
    with pytest.raises(DataError, match=r"a\.jsonl:1: column 'split' holds 'trian'\. Expected train, dev"):
        load_with(path)


def test_queries_in_two_splits_stay_in_the_held_out_one(tmp_path):
    write_lines(tmp_path / "train.jsonl", [{"query": q, "document": "x"} for q in ("A", "b", "c")])
    write_lines(tmp_path / "dev.jsonl", [{"query": q, "document": "y"} for q in ("a ", "d")])
    write_lines(tmp_path / "test.jsonl", [{"query": q, "document": "z"} for q in ("b", "D")])
    dataset = load_with(tmp_path)
    assert pairs_of(dataset, "train") == {("c", "x"): 1}
    assert pairs_of(dataset, "dev") == {("A", "y"): 1}
    assert pairs_of(dataset, "test") == {("b", "z"): 1, ("d", "z"): 1}
    assert dataset.facts.leaked_queries == 2
    assert dataset.facts.notes == (
        "2 queries were left out of train because dev or test holds the same query.",
        "1 queries were left out of dev because test holds the same query.",
    )


def test_several_labels_make_the_label_names_documents(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl",
        [{"id": "p", "text": "one", "labels": ["x", "y"]}, {"id": "r", "text": "two", "labels": ["y"]}],
    )
    dataset = load_with(path)
    assert dataset.facts.layout == "multilabel"
    assert dataset.labels is None
    assert texts_of(dataset.documents) == ["x", "y"]
    assert pairs_of(dataset, "all") == {("one", "x"): 1, ("one", "y"): 1, ("two", "y"): 1}
    assert dataset.queries.ids.to_pylist() == ["p", "r"]


def test_a_query_without_a_positive_is_noted_and_dropped(tmp_path):
    rows = [{"query": "a", "positives": [], "negative": "n"}, {"query": "b", "positives": ["x"], "negative": "n"}]
    dataset = load_with(write_lines(tmp_path / "a.jsonl", rows))
    assert texts_of(dataset.queries) == ["b"]
    assert pairs_of(dataset, "all") == {("b", "x"): 1, ("b", "n"): 0}
    assert dataset.facts.notes == ("1 queries were left out: none of their judgements reaches grade 1.",)
    with pytest.raises(DataError, match=r"no query has a positive\. Found 1 judgements"):
        load_with(write_lines(tmp_path / "b.jsonl", rows[:1]))


def test_a_higher_bar_for_grades_does_not_touch_plain_pairs(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"query": "a", "document": "x"}])
    assert len(load_with(path, positive_from=2).positives("all")) == 1


def test_groups_come_with_the_queries(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl", [{"query": "a", "document": "x", "repo": 3}, {"query": "b", "document": "x"}]
    )
    groups = load_with(path, group="repo").queries.groups
    assert groups is not None
    assert groups.to_pylist() == ["3", None]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [{"querry": "a", "document": "x"}],
            {},
            r"a\.jsonl: no column for the query\. Found: querry, document\. Known names: query, anchor.* "
            r"The nearest is 'querry': map it with --set data\.columns\.query=querry\.",
        ),
        (
            [{"query": "a", "zzzz": "x"}],
            {},
            r"no column for the positive\. Found: query, zzzz\. .* data\.columns\.positive",
        ),
        (
            [{"zzzz": "a"}],
            {},
            r"no column for the query\. Found: zzzz\. .*Map one with --set data\.columns\.query=NAME",
        ),
        ([{"text": "a"}], {}, r"no column for the label"),
        ([{"query": "a", "document": "x"}], {"layout": "scored"}, r"no column for the score"),
        (
            [{"query": "a", "document": "x"}],
            {"columns": {"query": "qeury"}},
            r"there is no column 'qeury', which data\.columns\.query names as the query\. Did you mean 'query'\?",
        ),
        ([{"query": "a", "document": "x"}], {"group": "repo"}, r"no column 'repo', which data\.group names"),
        ([{"query": "a", "document": "x"}, {"query": " ", "document": "x"}], {}, r"a\.jsonl:2: the query is empty"),
        ([{"query": "a", "document": ""}], {}, r"a\.jsonl:1: the document is empty"),
        (
            [{"query": "a", "document": "x"}, {"query": None, "document": "x"}],
            {},
            r"a\.jsonl:2: column 'query' is empty",
        ),
        ([{"query": "a", "document": 3}], {}, r"a\.jsonl:1: column 'document' holds int 3, expected text"),
        (
            [{"query": "a", "document": "x", "score": "high"}],
            {},
            r"a\.jsonl:1: column 'score' holds 'high', expected a number",
        ),
        ([{"query": "a", "document": "x", "score": float("nan")}], {}, r"column 'score' holds nan, expected a number"),
        (
            [{"query": "a", "document": "x", "id": None, "query_id": True}],
            {},
            r"'query_id' holds bool True, expected an id",
        ),
        (
            [{"query": "a", "document": "x", "query_id": 1}, {"query": "b", "document": "x", "query_id": ""}],
            {},
            r"a\.jsonl:2: column 'query_id' holds nothing",
        ),
        (
            [{"query": "a", "document": ["x", "y"], "doc_id": ["1"]}],
            {},
            r"column 'document' holds 2 texts and 'doc_id' 1 ids",
        ),
        (
            [{"query": "a", "document": "x", "id": 1}, {"query": "b", "document": "x", "id": 1}],
            {},
            r"query id '1' has two different texts: 'a' at .*a\.jsonl:1 and 'b' at .*a\.jsonl:2",
        ),
        ([], {}, r"a\.jsonl is empty"),
    ],
)
def test_bad_rows(tmp_path, rows, options, message):
    path = write_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=message):
        load_with(path, **options)


def test_files_that_do_not_fit_together(tmp_path):
    write_lines(tmp_path / "train.jsonl", [{"query": "a", "document": "x"}])
    write_lines(tmp_path / "test.jsonl", [{"query": "a", "document": "x", "score": 1}])
    with pytest.raises(DataError, match="some files have a grade column and some have not"):
        load_with(tmp_path)
    write_lines(tmp_path / "test.jsonl", [{"text": "a", "label": "x"}])
    with pytest.raises(DataError, match=r"test\.jsonl: has texts with labels, expected pairs"):
        load_with(tmp_path)


def test_extra_training_pairs_are_for_beir_folders(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"query": "a", "document": "x"}])
    with pytest.raises(ConfigError, match=r"data\.train=b\.jsonl adds training pairs to a BEIR folder"):
        load_with(path, train="b.jsonl")
