import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nearfar
from nearfar.auditing.audit import audit
from nearfar.auditing.finding import KINDS
from nearfar.auditing.write import FINDINGS, SUMMARY, write_audit
from nearfar.config.auditing import AuditOptions

from .material import dataset, named, rows


def test_nothing_planted_nothing_found():
    report = audit(dataset(rows()))
    assert report.findings == ()
    assert report.summary["left_out"] == []
    assert {row["kind"] for row in report.summary["counts"]} == set(KINDS)
    assert all(row["found"] == 0 < row["of"] for row in report.summary["counts"])


@settings(max_examples=20)
@given(st.lists(st.integers(0, 17), min_size=0, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_every_planted_leak_is_found_from_any_order_of_rows(places, generator):
    planted = rows()
    for number, place in enumerate(places):
        held = planted[18 + number]
        planted[place] |= {
            "query": f"more {held['query']}",
            "positive": held["positive"],
            "document_id": held["document_id"],
        }
    generator.shuffle(planted)
    report = audit(dataset(planted))
    assert named(report.findings, "pair_leak") == {
        ("pair_leak", "test", f"q{18 + number:03d}", f"d{18 + number:03d}", f"q{place:03d}")
        for number, place in enumerate(places)
    }
    assert not named(report.findings, "query_leak", "same_text", "query_is_document")


def mixed():
    planted = rows()
    planted[0] |= {"query": planted[20]["query"] + " more"}
    planted[1]["positive"] = "more " + planted[21]["positive"]
    planted[2]["negative"] = planted[2]["query"] + " indeed"
    planted[3]["positive"], planted[4]["positive"] = planted[4]["positive"], planted[3]["positive"]
    planted[5]["positive"] = "a very long text " * 400
    planted[6]["query"] = "да да да нет нет"
    return planted


def told(finding):
    """Everything about a finding but ids that reading has made up from the order of rows."""
    texts = [each.text for each in (finding.query, finding.document, finding.other) if each is not None]
    numbers = [round(each, 4) for each in (finding.score, finding.gap, finding.sure)]
    return finding.kind, finding.split, texts, finding.alias, numbers, finding.note


def test_the_order_of_rows_changes_nothing():
    shuffled = mixed()
    random.Random(1).shuffle(shuffled)
    one, other = (audit(dataset(each)).findings for each in (mixed(), shuffled))
    assert len({finding.kind for finding in one}) >= 7

    assert [told(finding) for finding in one] == [told(finding) for finding in other]


def test_findings_are_ranked():
    findings = audit(dataset(mixed())).findings
    order = list(KINDS)
    assert [order.index(each.kind) for each in findings] == sorted(order.index(each.kind) for each in findings)
    for kind in KINDS:
        sure = [each.sure for each in findings if each.kind == kind]
        assert sure == sorted(sure, reverse=True)
        assert all(0 <= each <= 1 for each in sure)


def test_the_files_have_the_same_bytes_every_time(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        report = audit(dataset(mixed()))
        write_audit(tmp_path / name, report.summary, report.findings)
    for file in (SUMMARY, FINDINGS):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()
    import pyarrow.parquet as pq

    listed = pq.read_table(tmp_path / "one" / FINDINGS).to_pylist()
    assert [row["kind"] for row in listed] == [finding.kind for finding in report.findings]
    counts = json.loads((tmp_path / "one" / SUMMARY).read_text())["counts"]
    assert sum(row["found"] for row in counts) == len(listed)


def test_no_finding_at_all_can_be_written(tmp_path):
    report = audit(dataset(rows()))
    write_audit(tmp_path, report.summary, report.findings)
    assert (tmp_path / FINDINGS).is_file()


def test_checks_that_make_no_sense_are_left_out_and_said():
    unsplit = [{"query": row["query"], "positive": row["positive"]} for row in rows()]
    assert audit(nearfar.from_records(unsplit)).summary["left_out"] == [
        "Leaks and contamination between splits: there is no dev or test split."
    ]
    held_out = audit(dataset([row | {"split": "test"} for row in rows()]))
    assert "there is no train split" in held_out.summary["left_out"][0]
    alone = audit(nearfar.from_records([{"query": "who", "positive": "me"}]))
    assert "there is one document" in alone.summary["left_out"][-1]
    topics = [{"text": f"text {place} about", "label": ["a", "b"][: place % 2 + 1]} for place in range(8)]
    assert "every split has the same labels" in audit(nearfar.from_records(topics)).summary["left_out"][0]


def test_a_sample_of_queries_is_said_and_the_same_from_any_order():
    listed = mixed()
    samples = []
    for order in (listed, listed[::-1]):
        report = audit(dataset(order), options=AuditOptions(queries=5))
        assert "Suspected judgements: 13 of 18 train queries." in report.summary["left_out"]
        samples.append(named(report.findings, "false_negative", "noisy_positive"))
    assert samples[0] == samples[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_is(kind):
    about = KINDS[kind]
    assert about.level in ("serious", "suspect", "note")
    for text in (about.meaning, about.advice):
        assert text.endswith(".")
        assert text[0].isupper()
