"""Every page in a real browser, wide and narrow, light and dark: no complaint, no request, all plots, working tables.

Needs a Chromium on the machine; none is downloaded.
"""

import csv
import io
import json
import shutil

import pytest

from nearfar.auditing.audit import audit
from nearfar.diagnosing.cause import NAMED, NOT_FOUND, NOT_MEASURED, Sign, Verdict
from nearfar.diagnosing.diagnosis import Diagnosis
from nearfar.diagnosing.registry import CAUSES
from nearfar.objectives.registry import parse
from nearfar.reports import audit as audit_page
from nearfar.reports import comparison as comparison_page
from nearfar.reports import diagnosis as diagnosis_page
from nearfar.reports.explain import write_explanation
from nearfar.reports.mining import write_mining_report
from tests.auditing.material import dataset
from tests.reports.compared import comparison
from tests.reports.test_audit import planted
from tests.reports.test_mining import write_job

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}

EMPTY = """[...document.querySelectorAll("[data-figure]")].filter((plot) =>
    ![...plot.querySelectorAll(".scatterlayer path, .barlayer path")].some((mark) => mark.getAttribute("d")?.length > 2)
).map((plot) => plot.dataset.figure)"""
SETTLED = """() => {
    const soft = getComputedStyle(document.querySelector("footer")).color;
    return [...document.querySelectorAll("[data-figure] svg")].every((one) =>
        one.getBoundingClientRect().right <= innerWidth)
        && [...document.querySelectorAll(".xtick text")].every((one) => getComputedStyle(one).fill === soft);
}"""
COLOURS = """() => [getComputedStyle(document.body).backgroundColor,
    ...new Set([...document.querySelectorAll(".xtick text")].map((one) => getComputedStyle(one).fill))]"""
ROWS = """(table) => [...table.tBodies[0].rows].map((row) =>
    [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent.trim()))"""
SORT = f"""(table) => [...table.tHead.rows[0].cells].map((head, column) => {{
    const press = () => {{
        head.querySelector("button").click();
        return {{ order: head.getAttribute("aria-sort"), cells: ({ROWS})(table).map((row) => row[column]),
            marked: table.querySelectorAll("[aria-sort]").length }};
    }};
    return [press(), press()];
}})"""
NUMBERS = """async () => {
    const files = [], make = URL.createObjectURL, click = HTMLAnchorElement.prototype.click;
    URL.createObjectURL = (blob) => { files.push(blob.text()); return make(blob); };
    HTMLAnchorElement.prototype.click = () => {};
    document.querySelectorAll(".save").forEach((button) => button.click());
    URL.createObjectURL = make;
    HTMLAnchorElement.prototype.click = click;
    return Promise.all(files);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_folder, page, evaluated):
    """Every kind of page as a file."""
    made = tmp_path_factory.mktemp("pages")
    (made / "train.html").write_text(page, encoding="utf-8")
    for name in ("search", "labels"):
        shutil.copy(evaluated[name] / "report.html", made / f"{name}.html")
    (made / "compare.html").write_text(comparison_page.render(comparison(hostile=True)), encoding="utf-8")
    write_mining_report(write_job(made / "job"), made / "mine.html")
    found = audit(dataset(planted()))
    summary = {**found.summary, "fingerprints": {"data": "0123abcd", "against": None, "model": None}}
    (made / "audit.html").write_text(audit_page.render(summary, found.findings), encoding="utf-8")
    (made / "diagnose.html").write_text(diagnosis_page.render(diagnosis().as_dict()), encoding="utf-8")
    write_explanation([parse("InfoNCE"), parse("Triplet")], made / "explain.html", seeds=(0,))
    return made


def diagnosis():
    """One cause that is named, one that is not, one that could not be measured."""
    sign = Sign(
        name="effective rank", value=3.1, usual=60.0, limit=10.0, low=2.9, high=3.4,
        sentence="Vectors are nearly alike.",
        examples=({"query": "wash a jumper", "document": "</script><b>by hand"},),
    )  # fmt: skip
    fine = Sign(name="share", value=0.01, usual=0.0, limit=0.2, sentence="Nothing much.")
    return Diagnosis(
        run={"name": "run"},
        verdicts=(
            Verdict(cause=CAUSES[0], state=NAMED, signs=(sign,)),
            Verdict(cause=CAUSES[1], state=NOT_FOUND, signs=(fine,)),
            Verdict(cause=CAUSES[2], state=NOT_MEASURED, why="There is no model."),
        ),
    )


@pytest.fixture(scope="module")
def browser():
    """One browser for all pages."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"No browser to open the pages with: none of {', '.join(NAMES)} is installed.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=["--disable-gpu", "--disable-quic"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, folder, request):
    """A page, drawn, wide and light. Afterwards it must not have complained, or asked for anything but itself."""
    context = browser.new_context(viewport=WIDE, color_scheme="light", accept_downloads=True, reduced_motion="reduce")
    shown = context.new_page()
    shown.set_default_timeout(60_000)
    complaints, asked = [], []
    shown.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("request", lambda one: asked.append(one.url))
    shown.goto((folder / f"{request.param}.html").as_uri())
    shown.wait_for_selector("html[data-drawn]", state="attached")
    yield shown
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


@pytest.mark.parametrize(
    "opened",
    ["train", "search", "labels", "compare", "mine", "audit", "diagnose", "explain"],
    indirect=True,
)
def test_a_page_is_whole(opened):
    _check_looks(opened)
    _check_numbers(opened)
    _check_tables(opened)


def _check_looks(page):
    """Wide and narrow, light and dark: everything is drawn, in the colours of the theme, and nothing is cut off."""
    seen = []
    for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (NARROW, "dark"), (NARROW, "light")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(SETTLED)  # a page draws anew after the size or the theme has changed
        assert page.evaluate(EMPTY) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        seen.append(page.evaluate(COLOURS))
    light, dark = seen[0], seen[1]
    assert seen == [light, dark, dark, light]
    assert len(light) == len(dark) == 2  # the ground, and one colour for all labels
    assert not set(light) & set(dark)


def _check_numbers(page):
    """Every figure gives a table whose columns all hold something."""
    plots = page.locator("[data-figure]").count()
    files = page.evaluate(NUMBERS)
    assert len(files) == plots > 0
    for text in files:
        names, *rows = csv.reader(io.StringIO(text))
        assert rows
        assert all(len(row) == len(names) for row in rows)
        assert all(any(column) for column in zip(*rows, strict=True))


def _check_tables(page):
    for table in page.locator("table.sortable").all():
        before = table.evaluate(ROWS)
        for column, (once, twice) in enumerate(table.evaluate(SORT)):
            assert {once["order"], twice["order"]} == {"ascending", "descending"}
            assert once["marked"] == twice["marked"] == 1
            assert sorted(once["cells"]) == sorted(twice["cells"]) == sorted(row[column] for row in before)
            known = [cell for cell in once["cells"] if cell not in ("", "\N{EN DASH}")]
            assert once["cells"][: len(known)] == known
            numbers = [_number(cell) for cell in known]
            if numbers and None not in numbers:
                assert once["order"] == "descending"
                assert numbers == sorted(numbers, reverse=True)
                assert [_number(cell) for cell in twice["cells"][: len(known)]] == sorted(numbers)
    for table in page.locator("table[data-filter]").all():
        texts = [
            " ".join(row).lower() for row in table.evaluate("(t) => [...t.tBodies[0].rows].map((r) => [r.textContent])")
        ]
        wanted = texts[-1].split()[0]
        box = table.locator("xpath=preceding::input[@type='search'][1]")
        box.evaluate("(one) => one.closest('details')?.setAttribute('open', '')")
        box.fill(wanted.upper())
        shown = [text for text in texts if wanted in text]
        left = table.evaluate(
            "(t) => [...t.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.textContent)"
        )
        assert sorted(text.lower() for text in left) == sorted(shown)
        assert table.locator("xpath=preceding::output[1]").inner_text() == f"{len(shown)} of {len(texts)}"


@pytest.mark.parametrize("opened", ["compare"], indirect=True)
def test_with_the_keyboard_a_table_is_sorted_and_the_numbers_of_a_figure_are_saved(opened):
    head = opened.locator("#result thead th").nth(1)
    head.locator("button").focus()
    opened.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    opened.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    opened.locator("figure", has=opened.locator("[data-figure=forest]")).locator(".save").focus()
    with opened.expect_download() as waiting:
        opened.keyboard.press("Enter")
    assert waiting.value.suggested_filename == "forest.csv"
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text(encoding="utf-8"))))
    one = comparison(hostile=True)
    wanted = {
        (each.treatment, table.name): each.difference for table in (one.overall, *one.tables) for each in table.versus
    }
    found = {(row["system"], row["data set"]): float(row["minus InfoNCE"]) for row in rows}
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize("opened", ["train"], indirect=True)
def test_the_theme_is_chosen_and_kept(opened, run_folder):
    light = opened.evaluate(COLOURS)
    opened.locator("#theme").click()
    opened.wait_for_function(SETTLED)
    dark = opened.evaluate(COLOURS)
    assert not set(light) & set(dark)
    opened.reload()
    opened.wait_for_selector("html[data-drawn]", state="attached")
    assert opened.evaluate(COLOURS) == dark
    table = next(text for text in opened.evaluate(NUMBERS) if text.startswith("system,measure,value"))
    found = {(row["system"].lower(), row["measure"]): float(row["value"]) for row in csv.DictReader(io.StringIO(table))}
    scores = json.loads((run_folder / "evaluation/scores.json").read_text(encoding="utf-8"))["systems"]
    assert found == {(system, measure): value for system in scores for measure, value in scores[system].items()}


def _number(text):
    """The number that a cell starts with, None where there is none."""
    try:
        return float(text.split()[0].replace(",", "").replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        return None
