import pytest

from nearfar.auditing.audit import audit
from nearfar.auditing.leaks import Part, match
from nearfar.auditing.subject import Subject
from nearfar.errors import DataError

from .material import dataset, found, named, rows

LEAKS = ("pair_leak", "query_leak", "positive_leak", "contaminated")


def test_a_nearly_equal_query_with_its_answer_is_a_pair_leak_and_nothing_less():
    planted = rows()
    planted[0] |= {"query": planted[20]["query"] + " more", "positive": planted[20]["positive"], "document_id": "d020"}
    assert found(planted, "pair_leak", "query_leak", "positive_leak") == {("pair_leak", "test", "q020", "d020", "q000")}


def test_a_nearly_equal_answer_counts_too():
    planted = rows()
    planted[0] |= {"query": planted[20]["query"] + "!!", "positive": planted[20]["positive"] + " more"}
    report = audit(dataset(planted))
    assert named(report.findings, "pair_leak") == {("pair_leak", "test", "q020", "d020", "q000")}
    assert report.of("pair_leak")[0].score == 1.0  # signs make no other word


def test_an_equal_query_was_left_out_of_training_by_reading():
    planted = rows()
    planted[0]["query"] = planted[20]["query"].upper()
    report = audit(dataset(planted))
    assert not named(report.findings, *LEAKS)
    assert report.summary["data"]["leaked_queries"] == 1


def test_a_nearly_equal_query_with_another_answer():
    planted = rows()
    planted[0]["query"] = planted[20]["query"] + " more"
    assert found(planted, *LEAKS) == {
        ("query_leak", "test", "q020", None, "q000"),
        ("contaminated", "test", "q020", None, "q000"),
    }


def test_an_answer_that_training_uses_for_another_query():
    planted = rows()
    planted[0] |= {"positive": planted[20]["positive"], "document_id": "d020"}
    assert found(planted, *LEAKS) == {("positive_leak", "test", "q020", "d020", "d020")}


def test_a_query_that_stands_in_a_training_document_is_contaminated():
    planted = rows()
    planted[0]["positive"] += f" {planted[20]['query']} {planted[0]['positive']}"
    report = audit(dataset(planted))
    assert named(report.findings, *LEAKS) == {("contaminated", "test", "q020", None, "d000")}
    assert report.of("contaminated")[0].score == 1.0
    counts = report.summary["contamination"]["test"]
    assert (counts["queries"], counts["long_enough"]) == (6, 6)
    assert [row["queries"] for row in counts["shares"]] == [1, 1, 1, 1]
    assert [row["pairs"] for row in counts["shares"]] == [0, 0, 0, 0]


def test_with_its_document_it_counts_as_a_pair():
    planted = rows()
    words = planted[20]["positive"].split()
    planted[20]["positive"] = " ".join([*words, *planted[21]["positive"].split()])
    planted[0]["positive"] += f" {planted[20]['query']} and {planted[20]['positive']}"
    report = audit(dataset(planted))
    assert [row["pairs"] for row in report.summary["contamination"]["test"]["shares"]] == [1, 1, 1, 1]
    assert report.of("contaminated")[0].gap == 1.0


def test_equal_queries_that_a_caller_put_into_two_splits():
    whole = dataset(rows())
    leaky = whole.with_qrels({**whole.qrels, "train": whole.qrels["test"]})
    assert {row[:4] for row in named(audit(leaky).findings, "pair_leak")} == {
        ("pair_leak", "test", f"q{place:03d}", f"d{place:03d}") for place in range(18, 24)
    }


def test_equal_texts_match_without_words():
    planted = rows()
    planted[0]["positive"], planted[20]["positive"] = "???", "???"
    planted[0]["document_id"] = planted[20]["document_id"] = "d0"
    subject = Subject.of(dataset(planted))
    matches = match(Part(subject, "test"), Part(subject, "train"), "document", 0.7)
    assert matches.similarity.tolist() == [1.0]


def test_another_training_set():
    mine, other = rows(), rows()
    for place, row in enumerate(other):
        row |= {"split": "train", "query_id": f"o{place}", "query": f"strange{place} unknown{place}"}
        row |= {"document_id": f"p{place}", "positive": f"never{place} seen{place}"}
    other[3] |= {"query": mine[20]["query"], "positive": mine[20]["positive"]}
    report = audit(dataset(mine), against=dataset(other))
    assert named(report.findings, "pair_leak", "query_leak") == {("pair_leak", "test", "q020", "d020", "o3")}
    assert "train of planted" in report.of("pair_leak")[0].note
    assert report.summary["against"]["name"] == "planted"


def test_what_cannot_be_compared():
    training = [row | {"split": "train"} for row in rows()]
    with pytest.raises(DataError, match="has no dev or test split"):
        audit(dataset(training), against=dataset(rows()))
    held_out = [row | {"split": "test"} for row in rows()]
    with pytest.raises(DataError, match="has no train split: found test"):
        audit(dataset(rows()), against=dataset(held_out))
    labelled = dataset([{"text": f"text {place}", "label": "ab"[place % 2]} for place in range(8)])
    with pytest.raises(DataError, match="Only pairs can be compared"):
        audit(dataset(rows()), against=labelled)
