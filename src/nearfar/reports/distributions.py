"""The figures about similarities, the map and the data: values of a run in, Plotly figures out."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float64

from nearfar.reports.canvas import CLEAR, Figure, Trace, axis, colour, hover_text, layout, rounded
from nearfar.reports.contents import Histogram, MapPoints, PairScores
from nearfar.reports.words import count, decimal, name_of

BINS = 48
POINTS_DRAWN = 1200


def score_edges(scores: PairScores) -> Float64[np.ndarray, " edge"]:
    """Bin edges that hold every score of every system, so that histograms can be compared."""
    every = np.concatenate(list(scores.values.values())) if scores.values else np.zeros(0)
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    margin = max(1e-3, 0.02 * (high - low))
    return np.linspace(low - margin, high + margin, BINS + 1)


def overlap(
    first: Float64[np.ndarray, " _first"], second: Float64[np.ndarray, " _second"], edges: Float64[np.ndarray, " edge"]
) -> float:
    """The share of two histograms that lies under both: 1 when they are the same, 0 when they are apart."""
    if not len(first) or not len(second):
        return float("nan")
    return float(np.minimum(_shares(first, edges), _shares(second, edges)).sum())


def _shares(
    values: Float64[np.ndarray, " _value"], edges: Float64[np.ndarray, " edge"]
) -> Float64[np.ndarray, " _bin"]:
    counts, _ = np.histogram(values, edges)
    return counts / max(1, len(values))


def similarity_figure(system: str, scores: PairScores) -> Figure | None:
    """Histograms of one system's similarities, or None when it has no positives and negatives.

    Positives are filled in the system's colour; negatives, and random pairs when there are any, are lines.
    """
    edges = score_edges(scores)
    positive, negative = scores.values.get((system, "positive")), scores.values.get((system, "negative"))
    if positive is None or negative is None:
        return None
    centres = (edges[1:] + edges[:-1]) / 2
    looks = {
        "random": ("random documents", {"color": "@soft", "width": 1.5, "dash": "dot"}, None),
        "positive": ("relevant documents", {"color": colour(system), "width": 2}, colour(system, 0.3)),
        "negative": ("best-scoring others", {"color": "@ink", "width": 2}, None),
    }
    data: list[Trace] = []
    for kind, (name, line, fill) in looks.items():
        values = scores.values.get((system, kind))
        if values is None:
            continue
        trace: Trace = {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": rounded(centres, 4),
            "y": rounded(100 * _shares(values, edges), 3),
            "line": {**line, "shape": "hvh"},
            "hovertemplate": f"{name}<br>around %{{x:.2f}}: %{{y:.1f}} %<extra></extra>",
        }
        data.append(trace | ({"fill": "tozeroy", "fillcolor": fill} if fill else {}))
    shared = overlap(positive, negative, edges)
    top = max(float(_shares(values, edges).max()) for values in scores.values.values())
    return Figure(
        name=f"similarity-{system}",
        title=f"{name_of(system)}: {100 * shared:.0f} % of the two overlap",
        description=f"Similarities under {name_of(system)}: relevant documents have a median of "
        f"{decimal(float(np.median(positive)))}, the best-scoring others of {decimal(float(np.median(negative)))}; "
        f"{100 * shared:.0f} % of the two histograms overlap.",
        height=320,
        data=data,
        layout=layout(
            axis("similarity", showgrid=False, range=rounded([edges[0], edges[-1]], 4)),
            axis(ticksuffix=" %", rangemode="tozero", range=[0, 107 * top]),
            showlegend=True,
        ),
    )


def map_figure(system: str, points: MapPoints) -> Figure:
    """Queries (open) and documents (filled) on a plane, a faint line between a query and its document.

    The last trace is empty; the page fills it with the pair under the pointer, in both maps at once.
    """
    shown = np.flatnonzero(points.pairs < np.sort(np.unique(points.pairs))[: POINTS_DRAWN // 2].max(initial=-1) + 1)
    kinds = np.asarray(points.kinds, dtype=object)
    query = {int(points.pairs[at]): int(at) for at in shown if kinds[at] == "query"}
    documents = [int(at) for at in shown if kinds[at] == "document"]
    data: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "belong together",
            **_joined(points, query, documents),
            "line": {"color": "@ink/0.22", "width": 1},
            "hoverinfo": "skip",
        }
    ]
    for kind, name, filled in (("document", "documents", True), ("query", "queries", False)):
        rows = [int(at) for at in shown if kinds[at] == kind]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": rounded(points.x[rows], 3),
                "y": rounded(points.y[rows], 3),
                "customdata": [int(points.pairs[at]) for at in rows],
                "text": [hover_text(points.texts[at], 160) for at in rows],
                "marker": {
                    "size": 7,
                    "color": colour(system, 0.85) if filled else "@surface",
                    "line": {"color": colour(system), "width": 1.5},
                },
                "hovertemplate": f"<b>{kind}</b><br>%{{text}}<extra></extra>",
            }
        )
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": [],
            "y": [],
            "line": {"color": "@ink", "width": 2},
            "marker": {"size": 11, "color": CLEAR, "line": {"color": "@ink", "width": 2}},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    )
    hidden: dict[str, Any] = {"visible": False, "fixedrange": False}
    return Figure(
        name=f"map-{system}",
        title=name_of(system),
        description=f"{count(len(query))} queries and their documents on a plane, as {name_of(system)} places them.",
        height=440,
        data=data,
        layout=layout(
            axis(**hidden), axis(**hidden, scaleanchor="x"), showlegend=True, dragmode="zoom", meta={"map": True}
        ),
    )


def _joined(points: MapPoints, query: Mapping[int, int], documents: list[int]) -> dict[str, list[float | None]]:
    """A line from the query of each pair to its document; a gap after each. ``query`` gives the row of a pair."""
    lines: dict[str, list[float | None]] = {"x": [], "y": []}
    for at in documents:
        partner = query.get(int(points.pairs[at]))
        if partner is not None:
            lines["x"] += [*rounded([points.x[partner], points.x[at]], 3), None]
            lines["y"] += [*rounded([points.y[partner], points.y[at]], 3), None]
    return lines


def bars_figure(name: str, title: str, labels: list[str], values: list[float], axis_title: str) -> Figure:
    """A bar for each label."""
    return Figure(
        name=name,
        title=title,
        description=", ".join(f"{label}: {count(value)}" for label, value in zip(labels, values, strict=True)) + ".",
        height=250,
        data=[
            {
                "type": "bar",
                "x": [hover_text(label, 24) for label in labels],
                "y": [float(value) for value in values],
                "marker": {"color": "@data"},
                "hovertemplate": "%{x}: %{y:,}<extra></extra>",
            }
        ],
        layout=layout(axis(axis_title, type="category", showgrid=False), axis(tickformat=",~s"), bargap=0.25),
    )


def histogram_figure(name: str, title: str, histogram: Histogram, axis_title: str) -> Figure | None:
    """Bars between edges, or None when the histogram is empty or its edges do not fit its counts."""
    edges, counts = histogram.edges, histogram.counts
    if not counts or len(edges) != len(counts) + 1:
        return None
    widths = [high - low for low, high in pairwise(edges)]
    peak = int(np.argmax(counts))
    return Figure(
        name=name,
        title=title,
        description=f"{title}: most often {edges[peak]:g} to {edges[peak + 1]:g}, at most {edges[-1]:g} shown.",
        height=250,
        data=[
            {
                "type": "bar",
                "x": [low + width / 2 for low, width in zip(edges[:-1], widths, strict=True)],
                "y": [float(value) for value in counts],
                "width": [0.86 * width for width in widths],
                "text": [f"{low:g} to {high:g}" for low, high in pairwise(edges)],
                "textposition": "none",
                "marker": {"color": "@data"},
                "hovertemplate": "%{text} words: %{y:,}<extra></extra>",
            }
        ],
        layout=layout(axis(axis_title, showgrid=False), axis(tickformat=",~s")),
    )
