import nearfar
from nearfar.auditing.audit import audit

from .material import dataset, found, named, rows


def test_one_text_under_two_ids():
    planted = rows()
    planted.append(planted[3] | {"query_id": "q900", "query": planted[3]["query"].upper(), "document_id": "d003"})
    planted.append(planted[4] | {"document_id": "d900", "positive": f"  {planted[4]['positive']} "})
    assert found(planted, "same_text") == {
        ("same_text", "train", "q003", None, "q900"),
        ("same_text", "", None, "d004", "d900"),
    }


def test_nearly_equal_texts_on_each_side():
    planted = rows()
    planted[3]["query"] = planted[4]["query"] + " more"
    planted[5]["positive"] = planted[6]["positive"] + "!"
    planted[5]["positive"] = "more " + planted[5]["positive"]
    report = audit(dataset(planted))
    twins = named(report.findings, "near_duplicate")
    assert {frozenset((query or document, other)) for _, _, query, document, other in twins} == {
        frozenset(("q003", "q004")),
        frozenset(("d005", "d006")),
    }
    by_query = next(finding for finding in report.of("near_duplicate") if finding.query is not None)
    assert by_query.note == "their relevant documents differ"
    assert by_query.score == 17 / 19  # 9 words and 8 pairs of 10 and 9


def test_a_query_that_is_a_document():
    planted = rows()
    planted[3]["positive"] = planted[3]["query"].title()
    planted[5]["query"] = "more " + planted[6]["positive"]
    report = audit(dataset(planted))
    assert {(each.query.id, each.document.id, each.note) for each in report.of("query_is_document")} == {
        ("q003", "d003", "judged relevant"),
        ("q005", "d006", "not judged relevant"),
    }


def test_labelled_texts_are_looked_at_once():
    texts = [{"text": f"word{place} other{place} third{place}", "label": "ab"[place % 2]} for place in range(8)]
    texts.append({"text": "word0 other0 third0 more", "label": "a"})
    report = audit(nearfar.from_records(texts))
    assert len(report.of("near_duplicate")) == 1
    assert not report.of("query_is_document")
    assert ("near_duplicate", "") in {(row["kind"], row["split"]) for row in report.summary["counts"]}
