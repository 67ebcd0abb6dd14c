"""The page of an audit."""

import json
import re

import pytest

from nearfar.auditing.audit import audit
from nearfar.auditing.finding import KINDS
from nearfar.reports.audit import SHOWN, headline, render, sections
from tests.auditing.material import dataset, rows

from .test_page import Elements


def planted():
    made = rows(40)
    made[0] |= {"query": made[36]["query"] + " <b>more</b>", "positive": made[36]["positive"], "document_id": "d036"}
    for place in range(1, 33):
        made[place]["positive"], made[place]["query"] = made[place]["query"], made[place]["positive"] + " ???"
        made[place]["negative"] = "</script><script>" + made[place]["query"] + f" and{place}"
    return made


@pytest.fixture(scope="module")
def report():
    return audit(dataset(planted()))


@pytest.fixture(scope="module")
def page(report):
    return render(
        {**report.summary, "fingerprints": {"data": "0123abcd", "against": None, "model": None}}, report.findings
    )


def test_the_page_has_every_kind_its_counts_and_texts(page, report):
    elements = Elements(page)
    text = " ".join(elements.text.split())
    assert "Some of what is measured on is also trained on." in text
    assert all(kind.title in text for kind in KINDS.values())
    assert "1 of 6" in text
    assert "training query q000" in text
    assert "<b>more</b>" in text
    assert "6 of 6 queries have 8 words or more" in text
    assert "0123abcd" in text
    assert "Fingerprint of model" not in text
    headings = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    found = len(report.of("false_negative"))
    assert found > SHOWN
    assert f"{SHOWN - 3} more of {found - 3}; all are in findings.parquet" in text


def test_links_lead_to_sections_that_are_there(page):
    elements = Elements(page)
    ids = {attributes["id"] for _, attributes in elements.tags if "id" in attributes}
    links = [attributes["href"] for tag, attributes in elements.tags if tag == "a"]
    assert links
    assert all(link[1:] in ids for link in links)


def test_figures_are_drawn_and_texts_stay_texts(page):
    elements = Elements(page)
    named = {attributes["data-figure"] for _, attributes in elements.tags if "data-figure" in attributes}
    drawn = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    assert named == set(drawn) == {"positives", "words-queries", "words-documents"}
    assert "</script><script>" not in page
    for _, attributes in elements.tags:
        assert not attributes.get("src", "").startswith("http")
        assert not any(name.startswith("on") for name in attributes)


def test_the_same_audit_gives_the_same_page(page):
    again = audit(dataset(planted()))
    summary = {**again.summary, "fingerprints": {"data": "0123abcd", "against": None, "model": None}}
    assert render(summary, again.findings) == page


def test_headlines():
    def said(level, found):
        kinds = [name for name, kind in KINDS.items() if kind.level == level]
        return headline(sections([{"kind": kinds[0], "split": "", "found": found, "of": 9}], ()))

    assert said("serious", 1) == "Some of what is measured on is also trained on."
    assert said("suspect", 2) == "No leaks were found; some judgements look wrong."
    assert said("note", 3) == "Nothing serious was found, some texts are worth a look."
    assert said("serious", 0) == "Nothing was found."
