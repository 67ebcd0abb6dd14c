"""The figures of a comparison: differences with intervals, the spread of seeds, and quality against cost."""

from collections.abc import Sequence
from statistics import median

from nearfar.evaluation.comparison import ALL, COST_AXES, Comparison, Cost, Table
from nearfar.reports import comparison_words
from nearfar.reports.canvas import (
    Figure,
    Trace,
    axis,
    error_bars,
    hover_text,
    layout,
    line_at,
    name_rows,
    note,
    rounded,
)
from nearfar.reports.words import count, decimal, p_value, signed

COSTS = {
    "train_seconds": ("Seconds of training", 1.0),
    "cpu_seconds": ("Processor seconds of training", 1.0),
    "tokens": ("Tokens embedded in training", 1.0),
    "peak_memory": ("Peak memory in MB", 1e-6),
    "parameters": ("Parameters", 1.0),
    "dimensions": ("Dimensions of a vector", 1.0),
    "encode_seconds": ("Seconds to embed and search", 1.0),
}
"""What each cost is called, and what its value is multiplied by."""

_SYMBOLS = ("circle", "square", "triangle-up", "cross", "star", "hexagon", "triangle-down", "x")
_COLOURS = 8
_TOLD_APART = {"better": "better", "worse": "worse", "open": "not told apart"}
_LARGE = 1e5
"""From here on, the marks of an axis are in thousands or millions."""
_FAR = 6.0
"""What reaches this many times as far as the median is not drawn: it would press the others together."""
_WIDE_RANGE = 20.0
"""From this ratio of the largest cost to the smallest on, a cost is drawn on a logarithmic axis."""


def forest_figure(comparison: Comparison) -> Figure | None:
    """The difference of each system from the baseline, or from the best, on each data set and over all."""
    main = comparison.main
    if main is None:
        return None
    control = comparison_words.against(comparison, main)
    systems = [one.system for one in main.standings if one.system != control]
    tables = list(dict.fromkeys([main.name, *(table.name for table in comparison.tables)]))
    by_name = {table.name: table for table in (main, *comparison.tables)}
    rows: list[tuple[str, str, float, float, float, float, str]] = []
    data: list[Trace] = []
    for place, name in enumerate(tables):
        trace, found = _forest_trace(by_name[name], control, systems, place, len(tables))
        if found:
            data.append(trace)
            rows += found
    if not rows:
        return None
    names = ("system", "data set", f"minus {control}", "low", "high", "p after correction", "verdict")
    span, beyond = _span(rows, systems)
    return Figure(
        name="forest",
        title=f"{comparison.measure} minus that of {control}",
        description="Filled where told apart, open where not. "
        + " ".join(f"{row[0]} on {row[1]}: {signed(row[2])}, {signed(row[3])} to {signed(row[4])}." for row in rows),
        height=110 + len(systems) * (16 + 17 * len(data)),
        data=data,
        layout=layout(
            axis(range=span, tickformat="+.3~f", nticks=6, tickangle=0),
            name_rows(systems),
            showlegend=len(data) > 1,
            annotations=beyond,
            shapes=[line_at(0, "vertical", color="@ink", width=1.5)],
        ),
        table=dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)),
    )


def _span(
    rows: Sequence[tuple[str, str, float, float, float, float, str]], systems: Sequence[str]
) -> tuple[list[float], list[Trace]]:
    """The differences that are drawn, and notes at the edge for systems that are too far away for the others' sake."""
    reaches = [max(abs(low), abs(high)) for _, _, _, low, high, _, _ in rows]
    limit = _FAR * median(reaches)
    ends = [0.0, *(end for row in rows for end in row[3:5] if abs(end) <= limit)]
    pad = 0.04 * (max(ends) - min(ends)) or 1e-3
    span = [min(ends) - pad, max(ends) + pad]
    beyond = {row[0]: row[2] for row in rows if not span[0] <= row[2] <= span[1]}
    notes = [
        note(f"{signed(value)} beyond", span[value > 0], systems.index(name), xanchor="right" if value > 0 else "left")
        for name, value in beyond.items()
    ]
    return span, notes


def _forest_trace(
    table: Table, control: str, systems: Sequence[str], place: int, tables: int
) -> tuple[Trace, list[tuple[str, str, float, float, float, float, str]]]:
    """The points of one table, and the same as rows."""
    every = table.name == ALL
    tint = "@ink" if every else f"@s{place % _COLOURS}"
    found = [(system, comparison_words.versus(table, system, control)) for system in systems]
    rows = [
        (system, table.name, one.difference, one.low, one.high, one.adjusted, _TOLD_APART[one.verdict])
        for system, one in found
        if one is not None
    ]
    values = [row[2] for row in rows]
    trace: Trace = {
        "type": "scatter",
        "mode": "markers",
        "name": hover_text(table.name, 40),
        "x": rounded(values),
        "y": [systems.index(row[0]) + 0.7 * ((place + 0.5) / tables - 0.5) for row in rows],
        "error_x": error_bars(values, [(row[3], row[4]) for row in rows], tint),
        "marker": {
            "size": 11 if every else 9,
            "symbol": "diamond" if every else _SYMBOLS[place % len(_SYMBOLS)],
            "color": [tint if row[6] != _TOLD_APART["open"] else "@paper" for row in rows],
            "line": {"color": tint, "width": 2},
        },
        "text": [
            f"{hover_text(row[0], 60)} on {hover_text(row[1], 40)}<br><b>{signed(row[2])}</b> "
            f"({signed(row[3])} to {signed(row[4])})<br>{p_value(row[5])} after correction: {row[6]}"
            for row in rows
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }
    return trace, rows


def seeds_figure(comparison: Comparison) -> Figure | None:
    """The mean of each seed beside the mean of all with its interval; None where no system has several seeds."""
    main = comparison.main
    if main is None or max((len(one.by_seed) for one in main.standings), default=0) < 2:
        return None
    shown = main.standings
    rows = [(one.system, value) for one in shown if len(one.by_seed) > 1 for value in one.by_seed]
    names = [one.system for one in shown]
    seeds: Trace = {
        "type": "scatter",
        "mode": "markers",
        "name": "one seed",
        "x": rounded(value for _, value in rows),
        "y": [names.index(system) + 0.18 for system, _ in rows],
        "marker": {"size": 9, "symbol": "line-ns", "color": "@tuned", "line": {"color": "@tuned", "width": 2}},
        "text": [f"{hover_text(system, 60)}, one seed<br>{decimal(value, 4)}" for system, value in rows],
        "hovertemplate": "%{text}<extra></extra>",
    }
    means = [one.mean for one in shown]
    mean: Trace = {
        "type": "scatter",
        "mode": "markers",
        "name": "mean, with its interval",
        "x": rounded(means),
        "y": [place - 0.12 for place in range(len(shown))],
        "error_x": error_bars(means, [(one.low, one.high) for one in shown], "@ink"),
        "marker": {"size": 9, "symbol": "diamond", "color": "@ink"},
        "text": [
            f"{hover_text(one.system, 60)}<br><b>{decimal(one.mean)}</b> ({decimal(one.low)} to {decimal(one.high)})"
            for one in shown
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }
    return Figure(
        name="seeds",
        title=f"{comparison.measure} of each seed",
        description=" ".join(
            f"{one.system}: {decimal(min(one.by_seed))} to {decimal(max(one.by_seed))} over {len(one.by_seed)} seeds."
            for one in shown
            if len(one.by_seed) > 1
        ),
        height=100 + 36 * len(shown),
        data=[mean, seeds],
        layout=layout(axis(nticks=6, tickangle=0), name_rows(names), showlegend=True),
        table={"system": [system for system, _ in rows], comparison.measure: [value for _, value in rows]},
    )


def drawn_costs(comparison: Comparison) -> list[str]:
    """The costs that differ between systems."""
    found = []
    for name in COST_AXES:
        known = [value for one in _measured(comparison, name) if (value := getattr(one, name)) is not None]
        if len(known) > 1 and max(known) > 1.001 * min(known):
            found.append(name)
    return found


def pareto_figure(comparison: Comparison, cost: str) -> Figure | None:
    """Quality against one cost, with the line of those that nothing beats in both; None where too little is known."""
    known = sorted(_measured(comparison, cost), key=lambda one: float(getattr(one, cost)))
    if len(known) < 2:
        return None
    floor = _floor([float(one.quality or 0.0) for one in known])
    shown = [one for one in known if cost in one.on_front or float(one.quality or 0.0) >= floor]
    below = [one.system for one in known if one not in shown]
    title, factor = COSTS[cost]
    spent = {one.system: factor * float(getattr(one, cost)) for one in known}
    front = [one for one in shown if cost in one.on_front]
    rest = [one for one in shown if cost not in one.on_front]
    traces = [_points(rest, spent, title, False)] if rest else []
    traces += [_front_line(front, spent), _points(front, spent, title, True)] if front else []
    logarithmic = min(spent.values()) > 0 and max(spent.values()) > _WIDE_RANGE * min(spent.values())
    return Figure(
        name=f"cost-{cost.replace('_', '-')}",
        title=f"{comparison.measure} against {title[0].lower()}{title[1:]}",
        description=f"On the line: {', '.join(f'{at} {one.system}' for at, one in enumerate(front, start=1))}."
        + (f" Far below, and not drawn: {', '.join(below)}." if below else ""),
        height=340,
        data=traces,
        layout=layout(
            axis(
                title,
                type="log" if logarithmic else "linear",
                tickformat=",~s" if max(spent.values()) >= _LARGE else ",.2~f",
                nticks=6,
                tickangle=0,
            ),
            axis(),
            showlegend=bool(rest),
        ),
        table={
            "system": [one.system for one in known],
            title: list(spent.values()),
            comparison.measure: [one.quality for one in known],
            "on the line": ["yes" if cost in one.on_front else "no" for one in known],
        },
    )


def _floor(qualities: Sequence[float]) -> float:
    """The quality below which a system is not drawn: further from the best than the median is, many times over."""
    best = max(qualities)
    return best - _FAR * (best - median(qualities))


def _measured(comparison: Comparison, cost: str) -> list[Cost]:
    """The systems of which quality and a cost are known."""
    return [one for one in comparison.costs if one.quality is not None and getattr(one, cost) is not None]


def _front_line(front: Sequence[Cost], spent: dict[str, float]) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [spent[one.system] for one in front],
        "y": rounded(one.quality for one in front),
        "line": {"color": "@base", "width": 1.5, "shape": "hv"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _points(systems: Sequence[Cost], spent: dict[str, float], title: str, on_front: bool) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers+text" if on_front else "markers",
        "name": "on the line" if on_front else "another is cheaper and no worse",
        "x": [spent[one.system] for one in systems],
        "y": rounded(one.quality for one in systems),
        "text": [str(at) for at in range(1, len(systems) + 1)],
        "textposition": "middle center",
        "textfont": {"color": "@paper", "size": 12},
        "cliponaxis": False,
        "marker": {
            "size": 20 if on_front else 10,
            "symbol": "circle",
            "color": "@base" if on_front else "@paper",
            "line": {"color": "@base" if on_front else "@soft", "width": 2},
        },
        "customdata": [
            f"{hover_text(one.system, 60)}<br><b>{decimal(one.quality)}</b><br>{hover_text(title)}: "
            f"{count(spent[one.system]) if spent[one.system] >= 100 else decimal(spent[one.system], 1)}"
            for one in systems
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
