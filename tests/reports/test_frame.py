"""What all pages share: one style sheet whose colours everybody can tell apart, and no words of templates left over."""

import re
from itertools import combinations

import numpy as np
import pytest

from nearfar.reports.canvas import Figure, axis, error_bars, layout, name_rows
from nearfar.reports.frame import asset, render_page

SERIES = tuple(f"s{place}" for place in range(8))
SEEN = {
    "by most": np.eye(3),
    "without red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "without green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "without blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
"""How colours are seen by people who lack a kind of cones (Machado, Oliveira and Fernandes 2009, severity 1)."""


def schemes():
    found = re.findall(r"--paper: [^}]*?color-scheme: (?:light|dark)", asset("report.css"), flags=re.DOTALL)
    return [dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", scheme)) for scheme in found]


def linear(colour):
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(light):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ light.clip(0, 1)
    scaled = xyz / [0.9505, 1.0, 1.089]
    x, y, z = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_light_and_dark_have_the_same_names_and_dark_is_dark_either_way():
    light, by_system, chosen = schemes()
    assert by_system == chosen
    assert set(light) == set(chosen) >= set(SERIES)


@pytest.mark.parametrize("scheme", schemes()[:2])
def test_colours_of_series_stand_out_from_the_paper(scheme):
    paper = linear(scheme["paper"]) @ [0.2126, 0.7152, 0.0722]
    for name in SERIES:
        low, high = sorted((paper, linear(scheme[name]) @ [0.2126, 0.7152, 0.0722]))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("scheme", schemes()[:2])
def test_colours_that_share_a_dash_are_told_apart_by_all(scheme, seen):
    for names in (SERIES[:4], SERIES[4:], ("bm25", "base", "tuned")):
        for one, other in combinations(names, 2):
            apart = [lab(np.asarray(SEEN[seen]) @ linear(scheme[name])) for name in (one, other)]
            assert np.linalg.norm(apart[0] - apart[1]) > 10, (one, other)


def test_a_page_gives_the_numbers_that_a_figure_has():
    figure = Figure(
        name="f",
        title="</script>",
        description="d",
        height=10,
        data=[],
        layout={},
        table={"a": [1, None], "b": ["x", "y"]},
    )
    page = render_page("frame.html.jinja", command="mine", title="<b>", figures={"f": figure})
    assert '"f":{"data":[],"layout":{},"table":{"a":[1,null],"b":["x","y"]}}' in page
    assert "<title>&lt;b&gt; · nearfar mine</title>" in page
    assert page.count("</script>") == 4


def test_bounds_become_bars_and_names_become_rows():
    bars = error_bars([0.5, 0.2], [(0.4, 0.7), (0.3, 0.3)], "@ink")
    assert bars["array"] == pytest.approx([0.2, 0.1])
    assert bars["arrayminus"] == pytest.approx([0.1, 0.0])  # a bound on the wrong side makes no bar
    rows = name_rows(["<b>", "a name that is much too long for an axis"], 20)
    assert rows["ticktext"][0] == "&lt;b&gt;"
    assert "<br>" not in rows["ticktext"][1]
    assert rows["range"] == [1.5, -0.5]
    assert layout(axis(), rows)["yaxis"]["tickvals"] == [0, 1]
