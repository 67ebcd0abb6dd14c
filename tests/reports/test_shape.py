import json
import re
from dataclasses import replace

import pytest

from nearfar.evaluation.calibrated import Calibration
from nearfar.evaluation.space import Alarm
from nearfar.reports.calibration_figures import reliability_figure, roc_figure
from nearfar.reports.folder import read_run
from nearfar.reports.page import render
from nearfar.reports.shape import comparable, shape_rows

from .fixture import write_run_folder


@pytest.fixture(scope="module")
def run(run_folder):
    return read_run(run_folder)


def cells(page):
    text = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    return " ".join(re.sub("<[^>]*>", " ", text).split())


def test_tables_hold_the_numbers_of_the_files(page, run):
    text = cells(page)
    for system, name in (("base", "Base"), ("tuned", "Tuned")):
        found = run.calibration[system].hits
        assert f"{name} wrong hits {found.within.value:.3f} {found.within.low:.3f} to {found.within.high:.3f} " in text
    one = run.calibration["tuned"].precision[0]
    assert (
        f"50 % {one.threshold:.3f} {100 * one.answered:.1f} % {100 * one.reached:.1f} % {100 * one.low:.1f} to" in text
    )
    assert "so its promises are a little weaker" in text
    assert "Found on the dev queries, tried on the test queries" in text
    assert "Effective rank of documents 190.0 of 384 190.0 of 384 in how many directions they vary" in text
    assert "Length bias −0.110" in text  # noqa: RUF001
    assert "Tolerance" not in text  # no labels
    assert "No sign of collapse" in text


def test_the_figures_are_the_curves(run):
    roc = roc_figure(run.calibration)
    assert [trace.get("name") for trace in roc.data[1:]] == [
        "Base, within queries", "Base, one threshold", "Tuned, within queries", "Tuned, one threshold",
    ]  # fmt: skip
    assert all(0 <= value <= 100 for trace in roc.data for value in trace["y"])
    assert "Base: area" in roc.description
    reliable = reliability_figure(run.calibration)
    assert sum(reliable.data[1]["customdata"]) == 3000
    assert "of which 10" in reliable.description or "of which 9" in reliable.description
    nothing = {"base": Calibration(split="test", queries=3)}
    assert roc_figure(nothing) is None
    assert reliability_figure(nothing) is None


def test_sentences_about_the_scale(run):
    hits = run.calibration["base"].hits

    def said(low, high):
        known = replace(run.calibration["base"], hits=replace(hits, gap=replace(hits.gap, low=low, high=high)))
        return comparable("base", known)

    assert said(0.02, 0.05).endswith("a single threshold keeps out less than the order within a query promises.")
    assert said(-0.01, 0.005).endswith("a single threshold loses next to nothing.")
    assert said(-0.01, 0.05).endswith("cannot be told from so few queries.")
    assert comparable("base", replace(run.calibration["base"], hits=None)).startswith("There is nothing to compare")


def test_alarms_and_notes_are_shown(tmp_path):
    folder = write_run_folder(tmp_path, queries=30)
    run = read_run(folder)
    alarm = Alarm(name="alike", side="queries", value=0.9, limit=0.5, sentence="90 % of the queries are <alike>.")
    few = Calibration(split="test", queries=3, notes=("Probabilities need <20> queries.",))
    page = render(
        replace(
            run,
            geometry={**run.geometry, "tuned": replace(run.geometry["tuned"], alarms=(alarm,))},
            calibration={"tuned": few},
        )
    )
    assert "90 % of the queries are &lt;alike&gt;." in page
    assert "Probabilities need &lt;20&gt; queries." in page
    assert "No sign of collapse" not in page
    assert "Precision wanted" not in page


def test_a_broken_file_is_named(tmp_path):
    folder = write_run_folder(tmp_path, queries=30)
    path = folder / "evaluation/geometry.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["systems"]["base"]["documents"]["width"] = "wide"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(Exception, match=r"geometry\.json, at systems\.base\.documents\.width"):
        read_run(folder)


def test_rows_without_any_number_are_left_out(run):
    names = [row.name for row in shape_rows({"base": replace(run.geometry["base"], hubs=None)})]
    assert "Hubness" not in names
    assert "Never in the first ten" not in names
    assert names[0] == "Alignment"
