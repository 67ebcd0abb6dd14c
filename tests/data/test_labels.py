"""Texts with one label each."""

import pytest

from nearfar.errors import DataError

from .folders import load_with, texts_of, write_lines


def rows(*pairs):
    return [{"text": text, "label": label} for text, label in pairs]


def labels_of(dataset, split):
    qrels = dataset.qrels[split]
    return {
        dataset.queries.text(query): dataset.labels[node]
        for query, node in zip(qrels.query.tolist(), qrels.node.tolist(), strict=True)
    }


def test_unsplit_texts_are_queries_and_documents(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", rows(("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"), ("A ", "x")))
    dataset = load_with(path)
    assert dataset.facts.layout == "labels"
    assert dataset.labels == ("x", "y")
    assert texts_of(dataset.queries) == texts_of(dataset.documents) == ["a", "b", "c", "d"]
    assert dataset.nodes.tolist() == [0, 1, 0, 1]
    assert labels_of(dataset, "all") == {"a": "x", "b": "y", "c": "x", "d": "y"}
    assert dataset.facts.duplicate_documents == 1


def test_with_splits_the_documents_are_the_texts_of_train_that_nothing_holds_out(tmp_path):
    write_lines(tmp_path / "train.jsonl", rows(("a", "x"), ("b", "x"), ("c", "x"), ("d", "y"), ("e", "y")))
    write_lines(tmp_path / "test.jsonl", rows(("B", "x"), ("f", "y"), ("g", "z")))
    dataset = load_with(tmp_path)
    assert texts_of(dataset.documents) == ["a", "c", "d", "e"]
    assert labels_of(dataset, "train") == {"a": "x", "c": "x", "d": "y", "e": "y"}
    assert labels_of(dataset, "test") == {"b": "x", "f": "y"}
    assert dataset.facts.leaked_queries == 1
    assert "1 queries were left out of test: no other document has their label." in dataset.facts.notes


def test_a_text_alone_with_its_label_is_no_query_but_stays_a_document(tmp_path):
    dataset = load_with(write_lines(tmp_path / "a.jsonl", rows(("a", "x"), ("b", "x"), ("c", "y"))))
    assert labels_of(dataset, "all") == {"a": "x", "b": "x"}
    assert texts_of(dataset.documents) == ["a", "b", "c"]
    with pytest.raises(DataError, match="no two texts share a label"):
        load_with(write_lines(tmp_path / "b.jsonl", rows(("a", "x"), ("b", "y"))))


def test_whole_numbers_are_labels(tmp_path):
    dataset = load_with(write_lines(tmp_path / "a.jsonl", rows(("a", 0), ("b", 0.0), ("c", True), ("d", True))))
    assert dataset.labels == ("0", "true")


def test_two_labels_for_one_text_within_a_split(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", rows(("a", "x"), ("b", "x"), (" A", "y"), ("b", "z")))
    with pytest.raises(DataError) as caught:
        load_with(path)
    message = str(caught.value)
    assert message.startswith("2 rows repeat a text of the same split with another label: the label 'y' at ")
    assert "a.jsonl:3 and 'x' at " in message
    assert "a.jsonl:1" in message


@pytest.mark.parametrize("names", [("train", "test"), ("test", "train")])
def test_two_labels_in_two_splits_leave_the_one_held_out(tmp_path, names):
    path = tmp_path / "a.jsonl"
    table = {"train": rows(("a", "x"), ("b", "x"), ("c", "x"), ("e", "y")), "test": rows(("a", "y"), ("d", "x"))}
    write_lines(path, [row | {"split": name} for name in names for row in table[name]])
    dataset = load_with(path)
    assert labels_of(dataset, "test") == {"a": "y", "d": "x"}
    assert labels_of(dataset, "train") == {"b": "x", "c": "x"}
    assert sorted(texts_of(dataset.documents)) == ["b", "c", "e"]
    assert any(note.startswith("1 texts have another label in another split") for note in dataset.facts.notes)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (None, r"a\.jsonl:2: column 'label' holds nothing"),
        ("", r"a\.jsonl:2: column 'label' holds nothing"),
        (["x"], r"a\.jsonl:2: column 'label' holds a list\. Expected one label in every row"),
        (0.5, r"a\.jsonl:2: column 'label' holds float 0\.5"),
    ],
)
def test_bad_labels(tmp_path, label, message):
    with pytest.raises(DataError, match=message):
        load_with(write_lines(tmp_path / "a.jsonl", rows(("a", "x"), ("b", label))))


def test_pairs_after_labels(tmp_path):
    write_lines(tmp_path / "train.jsonl", rows(("a", "x")))
    write_lines(tmp_path / "test.jsonl", [{"query": "a", "document": "b"}])
    with pytest.raises(DataError, match=r"test\.jsonl: has pairs, expected texts with labels"):
        load_with(tmp_path)
