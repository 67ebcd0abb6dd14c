"""The figures about weights: what objectives do with a pair, in an invented batch and in those of a run."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

from nearfar.objectives.explain import Curve, PairWeights
from nearfar.reports.canvas import Figure, Trace, axis, hover_text, layout, line_at
from nearfar.reports.words import decimal
from nearfar.types import Origin

COLOURS = 8
DASHES = ("solid", "dash", "dot", "dashdot")
DECILES = 10
BINS = 40
SIDES = {"positive": "pulled", "negative": "pushed"}
ORIGINS = {
    Origin.IN_BATCH: "negatives of the batch",
    Origin.HARD: "hard negatives",
    Origin.QUEUE: "negatives of a queue",
    Origin.MIXED: "made negatives",
    Origin.SAME_SIDE: "negatives of the same side",
    Origin.CLASS: "other classes",
}

Points = tuple[float | None, ...]


def look(place: int) -> tuple[str, str]:
    """Colour and dash of the objective at a place: eight colours, then again with another dash.

    The second four of the colours have another dash than the first, since not all eyes tell all eight apart.
    """
    return f"s{place % COLOURS}", DASHES[(place // COLOURS + place % COLOURS // 4) % len(DASHES)]


def largest(curve: Curve) -> float:
    """The largest weight of a curve, of either sign and side; 0 when there is none."""
    return max((abs(value) for value in (*curve.positive, *curve.negative) if value is not None), default=0.0)


def silent(points: Points) -> bool:
    """Whether a pair has no weight anywhere, but for rounding."""
    return all(value is None or abs(value) < 1e-9 for value in points)


def curves_figure(curves: Sequence[Curve], side: str, relative: bool) -> Figure:
    """The weights of one side for each objective, as they are or each in percent of its own largest."""
    data: list[Trace] = []
    wider = min(1.3, 2.6 / max(1, len(curves) - 1))
    for place, curve in enumerate(curves):
        tint, dash = look(place)
        points: Points = getattr(curve, side)
        top = max((abs(value) for value in points if value is not None), default=0.0) if relative else 0.0
        scale = 100 / top if top > 1e-9 else 1.0
        unit = " %" if relative else ""
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": hover_text(curve.name, 60),
                "x": list(curve.similarity),
                "y": [None if value is None else significant(value * scale) for value in points],
                # Those underneath are wider, so that equal curves can all be seen.
                "line": {"color": f"@{tint}", "width": round(2.2 + wider * (len(curves) - 1 - place), 2), "dash": dash},
                "hovertemplate": f"{hover_text(curve.name, 60)}<br>cosine %{{x:.2f}}: "
                f"<b>%{{y:.3g}}{unit}</b><extra></extra>",
            }
        )
    word = {"positive": "A positive is pulled", "negative": "A negative is pushed"}[side]
    return Figure(
        name=f"{side}-{'relative' if relative else 'absolute'}",
        title=f"{word} with this weight" + (", in % of its largest" if relative else ""),
        description=f"{word}. "
        + " ".join(f"{curve.name}: {_told(curve.similarity, getattr(curve, side))}." for curve in curves),
        height=340,
        data=data,
        layout=layout(
            axis("cosine of the pair", range=[-1.02, 1.02], dtick=0.5, showgrid=False),
            axis(ticksuffix=" %" if relative else "", rangemode="tozero"),
            shapes=[line_at(0, "horizontal", color="@soft", width=1)],
        ),
    )


def _told(similarity: Sequence[float], points: Points) -> str:
    """A curve in words: its weight at four cosines."""
    told = {round(at, 2): value for at, value in zip(similarity, points, strict=True) if value is not None}
    return ", ".join(f"{decimal(told[at])} at {decimal(at, 1)}" for at in (-0.5, 0.0, 0.5, 0.9) if at in told)


def significant(value: float, digits: int = 4) -> float:
    """A number with a few significant digits; what rounding left of nothing is nothing."""
    return 0.0 if abs(value) < 1e-9 else float(f"{value:.{digits}g}")


def pairs_figure(name: str, place: int, pairs: PairWeights) -> Figure:
    """Mean weights of the positives and negatives of a run against their cosine, and below how many there are."""
    tint, _ = look(place)
    similarity, weight, positive = _arrays(pairs)
    low, high = (float(similarity.min()), float(similarity.max())) if len(similarity) else (0.0, 1.0)
    edges = np.linspace(low - 1e-6, high + 1e-6, BINS + 1)
    centres = [significant(value) for value in (edges[1:] + edges[:-1]) / 2]
    data: list[Trace] = []
    for side, chosen, line in (
        ("positives", positive, {"color": f"@{tint}", "width": 2.5}),
        ("negatives", ~positive, {"color": "@ink", "width": 2, "dash": "dot"}),
    ):
        counts, _ = np.histogram(similarity[chosen], edges)
        sums, _ = np.histogram(similarity[chosen], edges, weights=weight[chosen])
        means = [significant(total / count) if count else None for total, count in zip(sums, counts, strict=True)]
        shares = [significant(100 * count / max(1, counts.sum())) for count in counts.tolist()]
        data += [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": side,
                "x": centres,
                "y": means,
                "line": line,
                "marker": {"color": line["color"], "size": 5},
                "connectgaps": True,
                "hovertemplate": f"{side} around %{{x:.2f}}<br>mean weight <b>%{{y:.3g}}</b><extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "x": centres,
                "y": shares,
                "yaxis": "y2",
                "showlegend": False,
                "line": {**line, "width": 1.5, "shape": "hvh"},
                "hovertemplate": f"{side} around %{{x:.2f}}: %{{y:.1f}} %<extra></extra>",
            },
        ]
    return Figure(
        name=f"pairs-{name}",
        title="Mean weight against cosine; below, where the pairs are",
        description=f"{int(positive.sum()):,} positives with a mean weight of {_mean(weight[positive])}, "
        f"{int((~positive).sum()):,} negatives with a mean weight of {_mean(weight[~positive])}.",
        height=400,
        data=data,
        layout=layout(
            axis("cosine of the pair", showgrid=False, anchor="y2"),
            axis("weight", domain=[0.36, 1], rangemode="tozero"),
            yaxis2=axis(domain=[0, 0.26], ticksuffix=" %", rangemode="tozero", nticks=3),
            showlegend=True,
        ),
    )


def hardness_figure(name: str, place: int, pairs: PairWeights) -> Figure:
    """The share of the negatives' weight by decile of their cosine, easiest first."""
    shares = hardness_shares(pairs)
    return Figure(
        name=f"hardness-{name}",
        title="Share of the push by decile of hardness",
        description=f"The hardest tenth of the negatives has {_percent(shares[-1])} of the weight of all negatives, "
        f"the easier half {_percent(sum(shares[: DECILES // 2]))}.",
        height=280,
        data=[
            {
                "type": "bar",
                "x": list(range(1, DECILES + 1)),
                "y": [significant(100 * share) for share in shares],
                "marker": {"color": f"@{look(place)[0]}"},
                "hovertemplate": "decile %{x}: %{y:.1f} %<extra></extra>",
            }
        ],
        layout=layout(
            axis("decile of cosine, hardest last", dtick=1, showgrid=False, range=[0.4, DECILES + 0.6]),
            axis(ticksuffix=" %", rangemode="tozero"),
            bargap=0.25,
            shapes=[line_at(100 / DECILES, "horizontal", color="@soft", width=1, dash="dot")],
        ),
    )


def origins_figure(name: str, place: int, pairs: PairWeights) -> Figure:
    """The share of the whole weight by where a pair comes from."""
    shares = origin_shares(pairs)
    return Figure(
        name=f"origins-{name}",
        title="Share of the whole weight by origin",
        description="; ".join(f"{word} {_percent(share)}" for word, share in shares.items()) + ".",
        height=280,
        data=[
            {
                "type": "bar",
                "orientation": "h",
                "x": [significant(100 * share) for share in shares.values()],
                "y": list(shares),
                "text": [_percent(share) for share in shares.values()],
                "textposition": "auto",
                "cliponaxis": False,
                "marker": {"color": f"@{look(place)[0]}"},
                "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
            }
        ],
        layout=layout(
            axis(ticksuffix=" %", rangemode="tozero"),
            axis(autorange="reversed", showgrid=False, tickfont={"color": "@ink"}),
            bargap=0.35,
        ),
    )


def hardness_shares(pairs: PairWeights) -> list[float]:
    """Shares of the sum of absolute weights over the negatives, in ten groups of equal size by cosine."""
    similarity, weight, positive = _arrays(pairs)
    ordered = np.abs(weight[~positive][np.argsort(similarity[~positive], kind="stable")])
    total = float(ordered.sum())
    return [float(group.sum()) / total if total else 0.0 for group in np.array_split(ordered, DECILES)]


def origin_shares(pairs: PairWeights) -> dict[str, float]:
    """Shares of the sum of absolute weights: of the positives, and of the negatives by origin, where there are any."""
    _, weight, positive = _arrays(pairs)
    origin, size = pairs.origin.numpy(), np.abs(weight)
    total = float(size.sum()) or 1.0
    groups = {"positives": positive} | {word: ~positive & (origin == int(kind)) for kind, word in ORIGINS.items()}
    return {word: float(size[chosen].sum()) / total for word, chosen in groups.items() if chosen.any()}


def _arrays(
    pairs: PairWeights,
) -> tuple[Float64[np.ndarray, " pair"], Float64[np.ndarray, " pair"], Bool[np.ndarray, " pair"]]:
    return pairs.similarity.double().numpy(), pairs.weight.double().numpy(), pairs.positive.numpy()


def _mean(values: Float64[np.ndarray, " value"]) -> str:
    return decimal(float(values.mean()) if len(values) else None)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
