"""The page of a comparison: what it claims, its tables and figures."""

import json
import re
from dataclasses import replace

import pytest

from nearfar.errors import DataError
from nearfar.evaluation.comparison import ALL, Versus
from nearfar.reports import comparison_words
from nearfar.reports.comparison import draw, heat, render, write_page
from nearfar.reports.comparison_figures import drawn_costs, forest_figure, pareto_figure, seeds_figure
from nearfar.reports.comparison_words import headline, lede

from .compared import HOSTILE, comparison
from .test_page import Elements

SECTIONS = ["result", "differences", "data-sets", "seeds", "cost", "flips", "missing", "method"]


def only(one, *systems, verdicts=None):
    """The comparison with some systems over all, with other verdicts against the baseline."""
    table = one.overall
    told = verdicts or {}
    return replace(
        one,
        gaps=(),
        overall=replace(
            table,
            standings=tuple(
                replace(each, verdict=told.get(each.system, each.verdict))
                for each in table.standings
                if each.system in systems
            ),
            versus=tuple(each for each in table.versus if {each.treatment, each.control} <= set(systems)),
        ),
    )


def test_every_section_number_and_text_is_there(tmp_path):
    one = comparison(hostile=True)
    one.write(tmp_path)
    page = write_page(tmp_path).read_text(encoding="utf-8")
    elements = Elements(page)
    assert [value["id"] for tag, value in elements.tags if tag == "section" and "id" in value] == SECTIONS
    links = {value["href"] for tag, value in elements.tags if tag == "a" and value["href"] != "#content"}
    assert links == {f"#{name}" for name in SECTIONS}
    assert page.startswith("<!doctype html>")
    assert page == render(one)
    for standing in one.overall.standings:
        assert f"{standing.mean:.3f} {standing.low:.3f} to {standing.high:.3f}" in elements.text
    assert "Only 119 of 123 cells are finished, 1 failed" in elements.text
    assert "Go on with the same command and --resume." in elements.text
    assert "1.00 → 0.39" in elements.text
    assert "more than training the baseline again" in elements.text
    assert HOSTILE in elements.text
    assert not [tag for tag, _ in elements.tags if tag in ("img", "iframe")]
    assert [tag for tag, _ in elements.tags].count("script") == 4
    drawn = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    assert set(drawn) == {value["data-figure"] for _, value in elements.tags if "data-figure" in value}


@pytest.mark.parametrize(
    ("systems", "verdicts", "said"),
    [
        (("InfoNCE", "HCL"), {}, "HCL and InfoNCE could not be told apart."),
        (("InfoNCE", "triplet"), {}, "triplet is worse than InfoNCE."),
        (("InfoNCE", "symmetric"), {}, "symmetric is better than InfoNCE."),
        (("InfoNCE", "HCL", "Circle"), {}, "No difference from InfoNCE was found in 2 systems."),
        (("InfoNCE", "triplet", "BM25"), {}, "All 2 systems are worse than InfoNCE."),
        (
            ("InfoNCE", "HCL", "triplet"),
            {},
            "None of 2 systems was found better than InfoNCE; 1 is worse.",
        ),
        (("InfoNCE", "HCL", "symmetric", "decoupled"), {}, "symmetric and decoupled are better than InfoNCE."),
        (
            ("InfoNCE", "HCL", "symmetric", "decoupled", "Circle", "triplet"),
            {"HCL": "better", "Circle": "better"},
            "4 of 5 systems are better than InfoNCE.",
        ),
    ],
)
def test_the_headline_claims_what_was_found_against_a_baseline(systems, verdicts, said):
    assert headline(only(comparison(), *systems, verdicts=verdicts)) == said


def test_the_headline_without_a_baseline():
    one = comparison(None, gaps=False)
    assert headline(one) == "symmetric leads, but 3 of the 8 others could not be told apart from it."
    assert headline(only(one, "symmetric", "HCL")) == "symmetric and HCL could not be told apart."
    assert headline(only(one, "symmetric", "triplet")) == "symmetric is better than triplet."
    assert headline(only(one, "symmetric", "triplet", "BM25")) == "symmetric is better than the other 2."
    assert headline(only(one, "symmetric", "HCL", "decoupled")) == "No difference between the 3 systems was found."


def test_without_any_result_the_page_says_so():
    one = replace(comparison(), overall=None, tables=(), flips=(), costs=(), scores=())
    page = render(one)
    assert "There is nothing to compare yet." in page
    assert "No system has a result on any data set yet." in page
    assert draw(one) == {}
    assert list(lede(one)) == ["Only 119 of 123 cells are finished, 1 failed: what is missing stands below."]


def test_the_lede_says_what_could_have_been_seen():
    said = " ".join(lede(comparison(gaps=False)))
    assert said.startswith("nDCG@10 over 3 data sets with 4,100 queries, each recipe trained with 5 seeds.")
    assert "symmetric minus InfoNCE is +0.016 (95 % interval +0.007 to +0.025, p = 0.003 after correction)" in said
    assert "A true difference of 0.013 would have been found with a chance of 80\N{NO-BREAK SPACE}%" in said


def test_a_comparison_reads_both_ways():
    table = comparison(None).overall
    one = table.versus[0]
    assert comparison_words.versus(table, one.treatment, one.control) == one
    other = comparison_words.versus(table, one.control, one.treatment)
    assert (other.difference, other.low, other.high) == (-one.difference, -one.high, -one.low)
    better = replace(one, verdict="better")
    assert comparison_words.turned(better).verdict == "worse"
    assert comparison_words.turned(comparison_words.turned(better)) == better
    assert comparison_words.versus(table, one.treatment, "nobody") is None


def test_the_forest_has_each_system_on_each_data_set_filled_where_told_apart():
    one = comparison()
    figure = forest_figure(one)
    assert [trace["name"] for trace in figure.data] == [ALL, "cosqa", "policyqa", "wordnet"]
    for trace, table in zip(figure.data, (one.overall, *one.tables), strict=True):
        by_system: dict[str, Versus] = {each.treatment: each for each in table.versus}
        rows = [system for system, place in zip(figure.table["system"], figure.table["data set"], strict=True)
                if place == table.name]  # fmt: skip
        assert trace["x"] == pytest.approx([by_system[system].difference for system in rows], abs=1e-5)
        filled = [colour != "@paper" for colour in trace["marker"]["color"]]
        assert filled == [by_system[system].verdict != "open" for system in rows]


def test_what_is_far_away_does_not_press_the_others_together():
    one = comparison(gaps=False)
    far = tuple(replace(each, difference=each.difference - 2 * (each.treatment == "BM25"),
                        low=each.low - 2 * (each.treatment == "BM25"), high=each.high - 2 * (each.treatment == "BM25"))
                for each in one.overall.versus)  # fmt: skip
    figure = forest_figure(replace(one, overall=replace(one.overall, versus=far)))
    low, high = figure.layout["xaxis"]["range"]
    assert -0.1 < low < 0 < high < 0.1
    assert [note["text"] for note in figure.layout["annotations"]] == ["\N{MINUS SIGN}2.030 beyond"]
    assert min(figure.table["minus InfoNCE"]) < -2
    costs = tuple(replace(each, quality=each.quality - 0.4 * (each.system == "Circle")) for each in one.costs)
    drawn = pareto_figure(replace(one, costs=costs), "train_seconds")
    assert drawn.description.endswith("4 symmetric. Far below, and not drawn: Circle.")
    assert "Circle" in drawn.table["system"]
    assert all(value > 0.3 for trace in drawn.data for value in trace["y"])


def test_seeds_are_drawn_where_there_are_several():
    one = comparison()
    figure = seeds_figure(one)
    assert figure.table["nDCG@10"] == [value for each in one.overall.standings for value in each.by_seed
                                       if len(each.by_seed) > 1]  # fmt: skip
    single = replace(
        one.overall,
        standings=tuple(replace(each, by_seed=each.by_seed[:1]) for each in one.overall.standings),
    )
    assert seeds_figure(replace(one, overall=single)) is None


def test_costs_are_drawn_where_they_differ():
    one = comparison()
    assert drawn_costs(one) == ["train_seconds", "cpu_seconds", "tokens", "peak_memory"]
    figure = pareto_figure(one, "train_seconds")
    rest, line, front = figure.data
    assert front["x"] == line["x"] == sorted(line["x"]) == [0.0, 40.0, 47.0, 54.0]
    assert front["text"] == ["1", "2", "3", "4"]
    assert figure.description == "On the line: 1 BM25, 2 InfoNCE, 3 InfoNCE, cold, 4 symmetric."
    assert len(rest["x"]) == 5
    assert figure.layout["xaxis"]["type"] == "linear"  # BM25 costs nothing
    wide = replace(one, costs=tuple(replace(each, parameters=10.0**place) for place, each in enumerate(one.costs)))
    assert pareto_figure(wide, "parameters").layout["xaxis"]["type"] == "log"
    assert pareto_figure(replace(one, costs=one.costs[:1]), "tokens") is None


def test_the_best_of_a_data_set_has_most_colour():
    rows = list(heat(comparison()))
    assert [len(cells) for _, _, cells in rows] == [3] * 9
    for column in range(3):
        cells = [cells[column] for _, _, cells in rows]
        best, least = (pick(cells, key=lambda cell: cell.standing.mean) for pick in (max, min))
        assert (best.deep, least.deep) == (34, 0)


def test_a_folder_without_a_comparison(tmp_path):
    with pytest.raises(DataError, match=r"comparison\.json cannot be read"):
        write_page(tmp_path)
