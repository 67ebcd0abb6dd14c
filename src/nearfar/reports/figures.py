"""The figures about scores: values of a run in, Plotly figures out."""

import numpy as np
from jaxtyping import Float64

from nearfar.reports.canvas import (
    SYMBOLS,
    Columns,
    Figure,
    Trace,
    axis,
    colour,
    error_bars,
    hover_text,
    layout,
    line_at,
    name_rows,
    note,
    rounded,
)
from nearfar.reports.contents import Scores
from nearfar.reports.words import count, decimal, name_of, percent, signed, systems_in_order

STEPS_DRAWN = 600
QUARTERS = (0, 25, 50, 75, 100)
HALVES = (-1.0, -0.5, 0.0, 0.5, 1.0)


def scores_figure(scores: Scores) -> Figure:
    """A dot and its interval for each system, a row for each measure."""
    measures, systems = scores.measures, systems_in_order(scores)
    middle = (len(systems) - 1) / 2
    data: list[Trace] = []
    for place, system in enumerate(systems):
        shown = [measure for measure in measures if measure in scores.systems[system]]
        values = [scores.systems[system][measure] for measure in shown]
        bounds = [scores.intervals.get(system, {}).get(m, (v, v)) for m, v in zip(shown, values, strict=True)]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name_of(system),
                "x": rounded(values),
                "y": [measures.index(measure) + 0.22 * (place - middle) for measure in shown],
                "error_x": error_bars(values, bounds, colour(system)),
                "marker": {"color": colour(system), "size": 10, "symbol": SYMBOLS.get(system, "cross")},
                "text": [
                    f"{hover_text(name_of(system))}, {hover_text(measure)}<br><b>{decimal(value)}</b> "
                    f"({decimal(low)} to {decimal(high)})"
                    for measure, value, (low, high) in zip(shown, values, bounds, strict=True)
                ],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    return Figure(
        name="scores",
        title=f"Scores, with {percent(scores.confidence)} intervals",
        description="Scores by measure. "
        + " ".join(
            f"{name_of(system)}: "
            + ", ".join(f"{measure} {decimal(value)}" for measure, value in scores.systems[system].items())
            + "."
            for system in systems
        ),
        height=90 + 62 * len(measures),
        data=data,
        layout=layout(axis(rangemode="normal"), name_rows(measures, 24), showlegend=True),
        table=_score_columns(scores),
    )


def _score_columns(scores: Scores) -> Columns:
    """Every score with its interval, one in a row."""
    rows = [
        (name_of(system), measure, value, *scores.intervals.get(system, {}).get(measure, (None, None)))
        for system in systems_in_order(scores)
        for measure, value in scores.systems[system].items()
    ]
    return {
        name: [row[place] for row in rows] for place, name in enumerate(("system", "measure", "value", "low", "high"))
    }


def differences_figure(scores: Scores) -> Figure | None:
    """Tuned minus base with intervals and a line at zero, or None without such comparisons."""
    found = [one for one in scores.comparisons if (one.treatment, one.control) == ("tuned", "base")]
    found = [one for one in found if one.measure in scores.measures]
    if not found:
        return None
    means = [one.mean for one in found]
    trace: Trace = {
        "type": "scatter",
        "mode": "markers+text",
        "x": rounded(means),
        "y": [scores.measures.index(one.measure) for one in found],
        "error_x": error_bars(means, [(one.low, one.high) for one in found], colour("tuned")),
        "marker": {"color": colour("tuned"), "size": 10, "symbol": SYMBOLS["tuned"]},
        "text": [signed(mean) for mean in means],
        "textposition": "top center",
        "textfont": {"color": "@ink", "size": 13},
        "customdata": [
            f"{hover_text(one.measure)}<br><b>{signed(one.mean)}</b> ({signed(one.low)} to {signed(one.high)})"
            for one in found
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
        "cliponaxis": False,
    }
    return Figure(
        name="differences",
        title="Tuned minus base, paired by query",
        description="Tuned minus base. "
        + " ".join(f"{one.measure}: {signed(one.mean)}, {signed(one.low)} to {signed(one.high)}." for one in found),
        height=90 + 62 * len(scores.measures),
        data=[trace],
        layout=layout(
            axis(rangemode="tozero"),
            name_rows(scores.measures, 24),
            margin={"l": 8, "r": 12, "t": 38, "b": 8},
            shapes=[line_at(0, "vertical", color="@ink", width=1.5)],
        ),
    )


def gains_figure(differences: Float64[np.ndarray, " query"], measure: str) -> Figure:
    """Every test query by what it gained, most first: above zero tuned was better, below zero base was."""
    total = len(differences)
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    same = total - won - lost
    shown = differences if total <= STEPS_DRAWN else differences[np.linspace(0, total - 1, STEPS_DRAWN).astype(int)]
    share = 100 * (np.arange(len(shown)) + 0.5) / max(1, len(shown))
    data: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": rounded(share[part], 3),
            "y": rounded(shown[part], 4),
            "line": {"color": colour(system), "width": 1.5, "shape": "hvh"},
            "fill": "tozeroy",
            "fillcolor": colour(system, 0.32),
            "hoverinfo": "skip",
        }
        for system, part in (("tuned", shown > 0), ("base", shown < 0))
    ]
    reach = max(0.1, float(np.abs(differences).max(initial=0.0))) * 1.12
    return Figure(
        name="gains",
        title=f"{measure} of each query: tuned minus base, sorted",
        description=f"{count(won)} queries gained, {count(same)} stayed the same, {count(lost)} lost.",
        height=320,
        data=data,
        layout=layout(
            axis(
                "queries",
                range=[0, 100.01],
                tickvals=list(QUARTERS),
                ticktext=[f"{at} %" for at in QUARTERS],
                showgrid=False,
            ),
            axis(
                range=[-reach, reach], tickvals=list(HALVES), ticktext=[signed(at, 1) for at in HALVES], showgrid=False
            ),
            shapes=[line_at(0, "horizontal", color="@ink", width=1)],
            margin={"l": 8, "r": 28, "t": 8, "b": 8},
            annotations=_totals(won, same, lost, reach),
        ),
    )


def _totals(won: int, same: int, lost: int, reach: float) -> list[Trace]:
    """How many queries lie above, on and below zero, each written beside its part, where the curve leaves room."""
    total = max(1, won + same + lost)
    left, right = 100 * won / total, 100 - 100 * lost / total
    outside, inside = ("left", "right"), ("right", "left")
    gained = note(f"<b>{count(won)}</b> gained", left, 0.72 * reach, font=_large("tuned"))
    gone = note(f"<b>{count(lost)}</b> lost", right, -0.72 * reach, font=_large("base"))
    gained["xanchor"] = (outside if left < 60 else inside)[0]
    gone["xanchor"] = (outside if right > 40 else inside)[1]
    room = right - left > 30
    still = note(
        f"<b>{count(same)}</b> the same", (left + right) / 2, 0.06 * reach, yanchor="bottom", font=_large("soft")
    )
    return [gained, gone, *([still] if room else [])]


def _large(name: str) -> Trace:
    return {"color": f"@{name}", "size": 15}
