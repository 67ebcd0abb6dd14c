"""The figures of an evaluation: scores with intervals, how values are spread over items, a cosine beside a grade."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from nearfar.reports.canvas import Figure, Trace, axis, error_bars, hover_text, layout, name_rows, rounded
from nearfar.reports.words import count, decimal, percent

Point = tuple[str, str, float, float, float]
"""A system, a row, the value, and both bounds."""

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon", "x")
_TENTHS = 10
_BINS = 30
_DRAWN = 2000
"""Points that are drawn of a cloud; of more, a sample."""


def values_figure(name: str, title: str, points: Sequence[Point], confidence: float) -> Figure | None:
    """A dot and its interval for each system in each row."""
    if not points:
        return None
    rows = list(dict.fromkeys(point[1] for point in points))
    systems = list(dict.fromkeys(point[0] for point in points))
    data: list[Trace] = []
    for place, system in enumerate(systems):
        own = [point for point in points if point[0] == system]
        tint = f"@s{place % len(_SYMBOLS)}"
        values = [value for _, _, value, _, _ in own]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": hover_text(system, 60),
                "x": rounded(values),
                "y": [rows.index(row) + 0.6 * ((place + 0.5) / len(systems) - 0.5) for _, row, _, _, _ in own],
                "error_x": error_bars(values, [(low, high) for _, _, _, low, high in own], tint),
                "marker": {"color": tint, "size": 10, "symbol": _SYMBOLS[place % len(_SYMBOLS)]},
                "text": [
                    f"{hover_text(system, 60)}<br>{hover_text(row)}<br><b>{decimal(value)}</b> "
                    f"({decimal(low)} to {decimal(high)})"
                    for _, row, value, low, high in own
                ],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    columns = ("system", "measure", "value", "low", "high")
    return Figure(
        name=name,
        title=f"{title}, with {percent(confidence)} intervals",
        description=" ".join(
            f"{row}: {decimal(value)}, {decimal(low)} to {decimal(high)}." for _, row, value, low, high in points
        ),
        height=80 + (26 + 18 * len(systems)) * len(rows),
        data=data,
        layout=layout(axis(nticks=6, tickangle=0), name_rows(rows, 30), showlegend=len(systems) > 1),
        table={column: [point[at] for point in points] for at, column in enumerate(columns)},
    )


def spread_figure(measure: str, values: Mapping[str, float]) -> Figure | None:
    """How many queries have which value of a measure from 0 to 1; those with 0 and with 1 have bars of their own."""
    known = np.asarray(list(values.values()))
    if not len(known) or known.min() < 0 or known.max() > 1:
        return None
    between = known[(known > 0) & (known < 1)]
    counts, _ = np.histogram(between, bins=_TENTHS, range=(0.0, 1.0))
    edges = [f"{at / _TENTHS:g} to {(at + 1) / _TENTHS:g}" for at in range(_TENTHS)]
    labels = ["0", *edges, "1"]
    numbers = [int((known == 0).sum()), *counts.tolist(), int((known == 1).sum())]
    return Figure(
        name="spread",
        title=f"Queries by their {measure}",
        description=", ".join(f"{label}: {count(number)}" for label, number in zip(labels, numbers, strict=True)) + ".",
        height=280,
        data=[
            {
                "type": "bar",
                "x": labels,
                "y": numbers,
                "marker": {"color": "@data"},
                "hovertemplate": "%{x}: %{y:,} queries<extra></extra>",
            }
        ],
        layout=layout(axis(measure, type="category", showgrid=False), axis("queries", tickformat=",~s"), bargap=0.2),
    )


def item_figure(
    place: int, task: str, unit: str, columns: Mapping[str, Float64[np.ndarray, " _item"]], measures: Sequence[str]
) -> Figure | None:
    """What says most about the items of a task: a cosine beside a grade or a label, else the spread of a measure."""
    name = f"items-{place}"
    if "cosine" in columns and "grade" in columns:
        return _cloud_figure(name, task, columns["cosine"], columns["grade"])
    if "cosine" in columns and "same" in columns:
        same = columns["same"] > 0
        groups = {"the same": columns["cosine"][same], "not the same": columns["cosine"][~same]}
        return _histogram_figure(name, f"{task}: cosine of a pair", groups, "cosine", unit)
    first = next((measure for measure in measures if measure in columns), None)
    if first is None or len(np.unique(columns[first])) < 3:
        return None
    return _histogram_figure(name, f"{task}: {first} of each {unit}", {"": columns[first]}, first, unit)


def _cloud_figure(
    name: str, task: str, cosines: Float64[np.ndarray, " _item"], grades: Float64[np.ndarray, " _item"]
) -> Figure:
    shown = np.linspace(0, len(cosines) - 1, min(len(cosines), _DRAWN)).astype(int)
    return Figure(
        name=name,
        title=f"{task}: cosine beside the grade",
        description=f"{count(len(cosines))} pairs, {count(len(shown))} of them drawn.",
        height=380,
        data=[
            {
                "type": "scatter",
                "mode": "markers",
                "x": rounded(grades[shown], 4),
                "y": rounded(cosines[shown], 4),
                "marker": {"color": "@base/0.45", "size": 6},
                "hovertemplate": "grade %{x}, cosine %{y:.3f}<extra></extra>",
            }
        ],
        layout=layout(axis("grade"), axis("cosine")),
    )


def _histogram_figure(
    name: str, title: str, groups: Mapping[str, Float64[np.ndarray, " _item"]], label: str, unit: str
) -> Figure:
    every = np.concatenate(list(groups.values()))
    low, high = float(every.min()), float(every.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    looks = [("@base", "@base/0.35"), ("@tuned", "@tuned/0.25")]
    data: list[Trace] = []
    for (group, values), (line, fill) in zip(groups.items(), looks, strict=False):
        counts, _ = np.histogram(values, edges)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": group or unit,
                "x": rounded((edges[1:] + edges[:-1]) / 2, 4),
                "y": rounded(100 * counts / max(1, len(values)), 3),
                "line": {"color": line, "width": 2, "shape": "hvh"},
                "fill": "tozeroy",
                "fillcolor": fill,
                "hovertemplate": f"{group}<br>around %{{x:.2f}}: %{{y:.1f}} %<extra></extra>",
            }
        )
    return Figure(
        name=name,
        title=title,
        description=" ".join(
            f"{group or unit}: {count(len(values))}, median {decimal(float(np.median(values)))}."
            for group, values in groups.items()
            if len(values)
        ),
        height=320,
        data=data,
        layout=layout(
            axis(label, showgrid=False), axis(ticksuffix=" %", rangemode="tozero"), showlegend=len(groups) > 1
        ),
    )
