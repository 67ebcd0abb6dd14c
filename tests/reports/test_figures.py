import json
import re

import numpy as np
import plotly.graph_objects as graph
import pytest

from nearfar.reports.canvas import hover_text
from nearfar.reports.contents import Histogram, MapPoints, PairScores
from nearfar.reports.distributions import histogram_figure, map_figure, overlap, similarity_figure
from nearfar.reports.figures import gains_figure
from nearfar.reports.folder import read_run
from nearfar.reports.frame import asset
from nearfar.reports.page import draw


def test_plotly_accepts_every_figure(run_folder):
    drawn = draw(read_run(run_folder))
    assert list(drawn) == [
        "scores", "differences", "gains", "loss", "dev", "accuracy", "bands", "gradient", "effective",
        "temperature", "age", "similarity-base", "similarity-tuned", "roc", "reliability", "map-base", "map-tuned",
        "positives", "words-queries", "words-documents",
    ]  # fmt: skip
    for figure in drawn.values():
        plain = re.sub(
            r'"@[a-z0-9]+(/[0-9.]+)?"', '"#123456"', json.dumps({"data": figure.data, "layout": figure.layout})
        )
        graph.Figure(json.loads(plain)).to_plotly_json()  # raises on a property that Plotly does not know
        assert figure.description


def test_every_named_colour_is_in_the_style_sheet(run_folder):
    drawn = draw(read_run(run_folder))
    written = json.dumps([[figure.data, figure.layout] for figure in drawn.values()])
    names = set(re.findall(r'"@([a-z0-9]+)', written))
    assert {"tuned", "base", "bm25", "ink"} <= names
    for name in names:
        assert len(re.findall(rf"--{name}: #[0-9a-f]{{6}};", asset("report.css"))) == 3  # light, and dark twice


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_and_systems_have_contrast_in_light_and_dark():
    schemes = re.findall(r"--paper: [^}]*?color-scheme", asset("report.css"), flags=re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", scheme))
        for ground in ("paper", "surface"):
            for name in ("ink", "soft", "bm25", "base", "tuned", "good"):
                low, high = sorted((_luminance(colours[name]), _luminance(colours[ground])))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (name, ground)


def test_gains_are_counted_and_split_by_sign():
    figure = gains_figure(np.array([0.5, 0.25, 0.0, 0.0, -1.0]), "nDCG@10")
    assert figure.description == "2 queries gained, 2 stayed the same, 1 lost."
    assert [trace["y"] for trace in figure.data] == [[0.5, 0.25], [-1.0]]


def test_many_queries_are_thinned_but_counted_whole():
    figure = gains_figure(np.linspace(1, -1, 100_001), "nDCG@10")
    assert figure.description == "50,000 queries gained, 1 stayed the same, 50,000 lost."
    assert sum(len(trace["y"]) for trace in figure.data) <= 600


def test_overlap_by_hand():
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    first, second = np.array([0.5, 0.5, 1.5, 1.5]), np.array([1.5, 2.5, 2.5, 2.5])
    assert overlap(first, second, edges) == pytest.approx(0.25)
    assert overlap(first, first, edges) == pytest.approx(1.0)


def test_similarities_without_positives_have_no_figure():
    assert similarity_figure("base", PairScores(values={("base", "negative"): np.array([0.5])})) is None


def test_the_map_joins_pairs_only():
    points = MapPoints(
        kinds=("query", "document", "document"),
        texts=("q", "d", "alone"),
        x=np.array([0.0, 1.0, 5.0]),
        y=np.array([0.0, 2.0, 5.0]),
        pairs=np.array([0, 0, 1]),
    )
    lines, documents, queries, marked = map_figure("base", points).data
    assert lines["x"] == [0.0, 1.0, None]
    assert (documents["customdata"], queries["customdata"], marked["x"]) == ([0, 1], [0], [])


def test_a_histogram_whose_edges_do_not_fit_is_left_out():
    assert histogram_figure("n", "t", Histogram(edges=(0.0, 1.0), counts=(1.0, 2.0)), "words") is None


def test_hover_text_is_plain():
    assert hover_text("<b>a</b> & b\nc") == "&lt;b&gt;a&lt;/b&gt; &amp; b c"
    assert hover_text("word " * 30, limit=40, width=20).count("<br>") == 1
    assert hover_text("") == ""
