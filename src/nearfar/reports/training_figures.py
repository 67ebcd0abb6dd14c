"""The figures about training: curves of a run in, Plotly figures out.

Numbers of single steps jitter, so a curve is drawn as a running median, over what was logged in a lighter tone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from nearfar.reports.canvas import Figure, Trace, axis, colour, layout, line_at, note, rounded
from nearfar.reports.contents import Curve
from nearfar.reports.words import count, decimal

ORIGINS = {
    "in_batch": ("negatives of the batch", "@data/0.35"),
    "hard": ("hard negatives", "@data/0.8"),
    "queue": ("queue", "@base/0.45"),
    "mixed": ("mixed", "@bm25/0.5"),
    "same_side": ("same side", "@bm25/0.25"),
    "class": ("classes", "@base/0.2"),
}
"""What negatives of each origin are called, and their colour."""

_ROUND = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]
"""Where a logarithmic axis of counts has its marks."""

_STEADY = 1e-3
"""A number that stays within this share of itself needs no figure."""


def loss_figure(loss: Curve, best_step: int | None) -> Figure | None:
    """The training loss and its running median, or None when nothing was logged."""
    if not loss.steps:
        return None
    return _curve_figure("loss", "Training loss", loss, best_step, axis())


def dev_figure(measure: str, curve: Curve, best_step: int | None) -> Figure:
    """A dev measure over training; the best step is marked, the value before training is a dotted line."""
    trace = _line(curve.steps, curve.values, colour("tuned"), 2.5, "dev")
    trace |= {"mode": "lines+markers", "marker": {"size": 6, "color": colour("tuned")}}
    changes = _best(best_step, curve.steps[-1] if curve.steps else 0)
    best = max(curve.values, default=float("nan"))
    if curve.steps and curve.steps[0] == 0:
        late = best_step is None or 2 * best_step >= curve.steps[-1]
        label = note(f"base {decimal(curve.values[0])}", 0.3 if late else 0.8, curve.values[0], xref="paper")
        changes["shapes"].append(line_at(curve.values[0], "horizontal", color=colour("base"), width=2, dash="dot"))
        changes["annotations"].append(label | {"yanchor": "bottom", "font": {"color": "@base", "size": 13}})
    return Figure(
        name="dev",
        title=f"{measure} on the dev queries",
        description=f"{measure} on dev over training: highest {decimal(best)}"
        + (f", best step {count(best_step)}." if best_step is not None else "."),
        height=300,
        data=[trace],
        layout=layout(_steps(), axis(), **changes),
    )


def inside_figures(train: Mapping[str, Curve], best_step: int | None) -> list[Figure]:
    """What steps looked like from inside, as far as the run has logged it.

    Args:
        train: curves by the names of ``docs/guide/telemetry.md``.
        best_step: the step whose weights were kept.
    """
    drawn = [
        accuracy_figure(train, best_step),
        bands_figure(train, best_step),
        gradient_figure(train, best_step),
        effective_figure(train, best_step),
        temperature_figure(train, best_step),
        age_figure(train, best_step),
    ]
    return [figure for figure in drawn if figure is not None]


def accuracy_figure(train: Mapping[str, Curve], best_step: int | None) -> Figure | None:
    """The share of rows whose nearest column is a positive."""
    curve = train.get("accuracy")
    if curve is None or not curve.steps:
        return None
    shown = Curve(steps=curve.steps, values=tuple(100 * value for value in curve.values))
    side = axis(ticksuffix=" %", range=[0, 102])
    return _curve_figure("accuracy", "Accuracy in the batch", shown, best_step, side, places=1)


def bands_figure(train: Mapping[str, Curve], best_step: int | None) -> Figure | None:
    """Quantiles of similarities, positives against negatives: median, middle half, and all but 5 % on either side."""
    traces: list[Trace] = []
    columns: dict[str, Sequence[float]] = {}
    said = []
    last = 0
    for kind, name, tint in (("negative", "negatives", "ink"), ("positive", "positives", "tuned")):
        curves = [train.get(f"similarity/{kind}/q{at:02d}") for at in (5, 25, 50, 75, 95)]
        whole = [curve for curve in curves if curve is not None and curve.steps]
        if len(whole) < len(curves):
            continue
        steps = whole[0].steps
        lows = [_smooth(curve.values) for curve in whole]
        traces += [
            *_band(steps, lows[0], lows[4], f"@{tint}/0.12"),
            *_band(steps, lows[1], lows[3], f"@{tint}/0.22"),
            _line(steps, lows[2], f"@{tint}", 2.5, name) | {"showlegend": True},
        ]
        columns |= {"step": steps}
        columns |= {f"{name}, {at} %": values for at, values in zip((5, 25, 50, 75, 95), lows, strict=True)}
        said.append(f"The median of {name} goes from {decimal(lows[2][0])} to {decimal(lows[2][-1])}.")
        last = max(last, steps[-1])
    if not traces:
        return None
    return Figure(
        name="bands",
        title="Similarities in the batch",
        description=f"{' '.join(said)} Bands hold the middle half, and nine tenths.",
        height=300,
        data=traces,
        layout=layout(_steps(), axis(), showlegend=True, **_best(best_step, last, legend=True)),
        table=columns,
    )


def gradient_figure(train: Mapping[str, Curve], best_step: int | None) -> Figure | None:
    """Which share of the gradient comes from positives, and from negatives of each origin, one on top of the other."""
    parts = {name: curve for name, curve in train.items() if name.startswith("gradient/") and any(curve.values)}
    steps = sorted({step for curve in parts.values() for step in curve.steps})
    if not steps:
        return None
    pulled = np.zeros(len(steps))
    for name, curve in parts.items():
        pulled = pulled + _filled(curve, steps) if "/positive/" in name else pulled
    shown = {"positives": ("@tuned/0.6", pulled)}
    for origin, (name, tint) in ORIGINS.items():
        if f"gradient/negative/{origin}" in parts:
            shown[name] = (tint, _filled(parts[f"gradient/negative/{origin}"], steps))
    smooth = {name: np.asarray(_smooth(values)) for name, (_, values) in shown.items()}
    total = np.sum(list(smooth.values()), axis=0)
    traces = []
    for name, (tint, _) in shown.items():
        share = 100 * np.divide(smooth[name], total, out=np.zeros(len(steps)), where=total > 0)
        traces.append(
            _line(tuple(steps), share.tolist(), tint, 0, name)
            | {
                "showlegend": True,
                "stackgroup": "one",
                "fillcolor": tint,
                "hovertemplate": f"{name}<br>step %{{x}}: %{{y:.0f}} %<extra></extra>",
            }
        )
    ends = ", ".join(f"{name} {trace['y'][-1]:.0f} %" for name, trace in zip(shown, traces, strict=True))
    return Figure(
        name="gradient",
        title="Where the gradient comes from",
        description=f"Shares of the gradient at the end: {ends}.",
        height=300,
        data=traces,
        layout=layout(
            _steps(), axis(ticksuffix=" %", range=[0, 100]), showlegend=True, **_best(best_step, steps[-1], legend=True)
        ),
    )


def effective_figure(train: Mapping[str, Curve], best_step: int | None) -> Figure | None:
    """As how many equal negatives those of a row act, below the dotted line of how many there are."""
    curve, there = train.get("effective_negatives"), train.get("negatives")
    if curve is None or not curve.steps:
        return None
    figure = _curve_figure(
        "effective", "Effective negatives of a row", curve, best_step, axis(type="log", tickvals=_ROUND), places=1
    )
    if there is not None and there.steps:
        usual = float(np.median(there.values))
        figure.layout["shapes"].append(line_at(usual, "horizontal", width=2, dash="dot"))
        figure.layout["yaxis"]["range"] = [-0.05, float(np.log10(max(usual, *curve.values, 2))) + 0.12]
        label = note(f"{count(round(usual))} there are", 0.02, float(np.log10(usual)), xref="paper")
        figure.layout["annotations"].append(label | {"xanchor": "left", "yanchor": "bottom"})
    return figure


def temperature_figure(train: Mapping[str, Curve], best_step: int | None) -> Figure | None:
    """The temperature, unless it stays what it was."""
    curve = train.get("temperature")
    if curve is None or not curve.steps or max(curve.values) - min(curve.values) <= _STEADY * max(curve.values):
        return None
    return _curve_figure("temperature", "Temperature", curve, best_step, axis(rangemode="tozero"), places=4)


def age_figure(train: Mapping[str, Curve], best_step: int | None) -> Figure | None:
    """How many steps ago the negatives of a step were mined, where a run mines while it trains; as it was logged."""
    curve = train.get("negatives_age")
    if curve is None or not curve.steps:
        return None
    title = "Age of the mined negatives, in steps"
    line = _line(curve.steps, curve.values, colour("tuned"), 2.5, "age")
    return Figure(
        name="age",
        title=title,
        description=f"{title}: the first mined ones are seen at step {count(curve.steps[0])}, the oldest are "
        f"{count(round(max(curve.values)))} steps old.",
        height=300,
        data=[line | {"hovertemplate": "step %{x}: %{y:.0f} steps<extra></extra>"}],
        layout=layout(_steps(), axis(rangemode="tozero"), **_best(best_step, curve.steps[-1])),
    )


def _curve_figure(
    name: str, title: str, curve: Curve, best_step: int | None, side: dict[str, Any], places: int = 3
) -> Figure:
    """One number over steps: as it was logged, and its running median."""
    smooth = _smooth(curve.values)
    return Figure(
        name=name,
        title=title,
        description=f"{title}: from {decimal(smooth[0], places)} at step {count(curve.steps[0])} to "
        f"{decimal(smooth[-1], places)} at step {count(curve.steps[-1])}, as a running median.",
        height=300,
        data=[
            _line(curve.steps, curve.values, colour("tuned", 0.35), 1, "logged"),
            _line(curve.steps, smooth, colour("tuned"), 2.5, "running median"),
        ],
        layout=layout(_steps(), side, **_best(best_step, curve.steps[-1])),
    )


def _smooth(values: Sequence[float] | Float64[np.ndarray, " step"]) -> list[float]:
    """The running median over about a twelfth of the curve."""
    reach, known = max(1, len(values) // 24), np.asarray(values)
    return [float(np.median(known[max(0, at - reach) : at + reach + 1])) for at in range(len(known))]


def _filled(curve: Curve, steps: Sequence[int]) -> Float64[np.ndarray, " step"]:
    """The curve at all steps, 0 where it has none."""
    known = dict(zip(curve.steps, curve.values, strict=True))
    return np.asarray([known.get(step, 0.0) for step in steps], dtype=np.float64)


def _band(steps: tuple[int, ...], low: list[float], high: list[float], tint: str) -> list[Trace]:
    """The area between two curves."""
    edges = [_line(steps, values, tint, 0, "") | {"hoverinfo": "skip", "hovertemplate": None} for values in (low, high)]
    return [edges[0], edges[1] | {"fill": "tonexty", "fillcolor": tint}]


def _steps() -> dict[str, Any]:
    return axis("step", rangemode="tozero", showgrid=False)


def _line(
    steps: tuple[int, ...], values: tuple[float, ...] | list[float], tint: str, width: float | int, name: str
) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(steps),
        "y": rounded(values),
        "line": {"color": tint, "width": width},
        "showlegend": False,
        "hovertemplate": "step %{x}: %{y:.4f}<extra></extra>",
    }


def _best(step: int | None, last: int, legend: bool = False) -> dict[str, Any]:
    """The mark of the step whose weights were kept; its label stands above the figure, away from the nearer edge.

    With a legend, which has the place above, there is no label.
    """
    changes: dict[str, Any] = {"shapes": [], "annotations": [], "margin": {"l": 8, "r": 12, "t": 30, "b": 8}}
    if step is not None:
        anchor = "right" if 2 * step > last else "left"
        label = note(f"kept: step {count(step)}", step, 1, yref="paper", xanchor=anchor, yanchor="bottom")
        if not legend:
            changes["annotations"].append(label | {"font": {"color": "@ink", "size": 13}})
        changes["shapes"].append(line_at(step, "vertical", color="@ink", width=1.25, dash="dash"))
    return changes
