import base64
import gzip
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from nearfar.errors import ResourceError
from nearfar.reports import write_report
from nearfar.reports.folder import FILES, read_run
from nearfar.reports.frame import embedded_json
from nearfar.reports.page import render

from .fixture import HOSTILE, write_run_folder

SECTIONS = ["scores", "queries", "training", "similarities", "map", "data", "run"]


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_every_section_and_figure_is_there(page):
    elements = Elements(page)
    assert [
        attributes["id"] for tag, attributes in elements.tags if tag == "section" and "id" in attributes
    ] == SECTIONS
    figures = [attributes for _, attributes in elements.tags if "data-figure" in attributes]
    assert len(figures) == 20
    for attributes in figures:
        assert attributes["role"] == "img"
        assert attributes["aria-description"]
    assert "this run folder has no" not in page


def test_data_without_mined_negatives_says_nothing_of_them(tmp_path):
    folder = write_run_folder(tmp_path, queries=30)
    facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    del facts["mined"]
    (folder / "data.json").write_text(json.dumps(facts), encoding="utf-8")
    assert "Mined negatives" not in render(read_run(folder))


def test_headings_descend_one_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in Elements(page).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_numbers_equal_those_of_the_files(page, run_folder):
    text = Elements(page).text
    scores = json.loads((run_folder / "evaluation/scores.json").read_text(encoding="utf-8"))
    for system, values in scores["systems"].items():
        for measure, value in values.items():
            low, high = scores["intervals"][system][measure]
            assert f"{value:.3f} {low:.3f} to {high:.3f}" in text
    for one in scores["comparisons"]:
        assert f"{one['mean']:+.3f}".replace("-", "−") in text  # noqa: RUF001
    assert "9,400 11,872" in text
    assert "22,713,216" in text
    assert (
        "Mined negatives 36,918, 3.9 for a training query Training queries without mined negatives 61 (0.6 %)" in text
    )
    assert "Pairs ignored, since they may be relevant 4,127" in text
    assert "nearfar train data/help-desk --model sentence-transformers/all-MiniLM-L6-v2" in text
    first = scores["comparisons"][0]
    assert f"{first['wins']} queries gained, {first['ties']} stayed the same, {first['losses']} lost." in text


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_leaves_a_sentence(tmp_path, name):
    page = render(read_run(write_run_folder(tmp_path, queries=30, omit=(name,))))
    elements = Elements(page)
    assert [
        attributes["id"] for tag, attributes in elements.tags if tag == "section" and "id" in attributes
    ] == SECTIONS
    assert f"this run folder has no {name} ." in elements.text


def test_a_run_that_has_only_started(tmp_path):
    page = render(read_run(write_run_folder(tmp_path, queries=30, omit=tuple(FILES[1:]))))
    assert "This run has not been evaluated." in page
    assert page.count("this run folder has no") == len(FILES) - 1


def test_hostile_texts_stay_texts(tmp_path):
    page = render(read_run(write_run_folder(tmp_path, queries=30, hostile=True)))
    elements = Elements(page)
    assert HOSTILE in elements.text
    assert not [tag for tag, _ in elements.tags if tag in ("img", "iframe", "object")]
    assert [tag for tag, _ in elements.tags].count("script") == 4
    assert not [name for _, attributes in elements.tags for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page


def test_json_in_a_script_cannot_end_it():
    value = {"text": "</script><!--\u2028&"}
    text = str(embedded_json(value))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_nothing_is_loaded_from_elsewhere(page):
    elements = Elements(page)
    for tag, attributes in elements.tags:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    assert not re.search(r"url\(|@import", page.split("</style>")[0])
    policy = next(a["content"] for tag, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_plotly_is_there_once_and_whole(page):
    packed = re.findall(r'<script type="text/plain" id="plotly">([^<]+)</script>', page)
    assert len(packed) == 1
    assert b"plotly.js v" in gzip.decompress(base64.b64decode(packed[0]))[:200]
    assert len(page) < 3_000_000


def test_same_run_same_bytes(run_folder, page, tmp_path):
    assert write_report(run_folder, tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_the_page_lands_in_the_run_folder(tmp_path):
    folder = write_run_folder(tmp_path, queries=20)
    assert write_report(folder) == folder / "report.html"
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not list(folder.glob(".*"))


def test_a_place_that_cannot_be_written(run_folder, tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(ResourceError, match=r"Cannot write .*page\.html"):
        write_report(run_folder, tmp_path / "page.html")
