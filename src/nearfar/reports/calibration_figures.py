"""The figures about scores as decisions: ROC curves, and probabilities against what came."""

from collections.abc import Mapping

from nearfar.evaluation.calibrated import Calibration
from nearfar.evaluation.separation import FALSE_SHARES
from nearfar.reports.canvas import Figure, Trace, axis, colour, layout, rounded
from nearfar.reports.words import count, decimal, name_of

_DIAGONAL: Trace = {
    "type": "scatter",
    "mode": "lines",
    "x": [0, 100],
    "y": [0, 100],
    "line": {"color": "@line", "width": 1.5},
    "hoverinfo": "skip",
    "showlegend": False,
}


def roc_figure(systems: Mapping[str, Calibration]) -> Figure | None:
    """Relevant documents found against wrong hits let through, within queries and with one threshold for all."""
    data: list[Trace] = []
    said = []
    for system, calibration in systems.items():
        if calibration.hits is None:
            continue
        curves = {"within queries": calibration.hits.found_within, "one threshold": calibration.hits.found_pooled}
        for name, found in curves.items():
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"{name_of(system)}, {name}",
                    "x": rounded([100 * share for share in FALSE_SHARES], 4),
                    "y": rounded([100 * share for share in found], 3),
                    "line": {
                        "color": colour(system),
                        "width": 2,
                        "dash": "solid" if name == "within queries" else "dash",
                    },
                    "hovertemplate": f"{name_of(system)}, {name}<br>%{{y:.1f}} % of the relevant documents<br>"
                    "for %{x:.2f} % of the wrong hits<extra></extra>",
                }
            )
        within, pooled = calibration.hits.within.value, calibration.hits.pooled.value
        said.append(f"{name_of(system)}: area {decimal(within)} within queries, {decimal(pooled)} with one threshold.")
    if not data:
        return None
    return Figure(
        name="roc",
        title="Relevant documents against wrong hits",
        description=" ".join(said),
        height=380,
        data=[_DIAGONAL, *data],
        layout=layout(
            axis("wrong hits above the threshold", ticksuffix=" %", range=[0, 100.5]),
            axis("relevant above it", ticksuffix=" %", range=[0, 101]),
            showlegend=True,
        ),
    )


def reliability_figure(systems: Mapping[str, Calibration]) -> Figure | None:
    """Probabilities made from scores against the share that was relevant, in bins of equally many pairs."""
    data: list[Trace] = []
    said = []
    top = 0.0
    for system, calibration in systems.items():
        known = calibration.probability
        if known is None:
            continue
        bins = known.equal_mass
        top = max(top, *bins.predicted, *bins.came)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name_of(system),
                "x": rounded([100 * value for value in bins.predicted], 3),
                "y": rounded([100 * value for value in bins.came], 3),
                "customdata": list(bins.pairs),
                "line": {"color": colour(system), "width": 2},
                "marker": {"size": 7, "color": colour(system)},
                "hovertemplate": f"{name_of(system)}<br>predicted %{{x:.1f}} %, came %{{y:.1f}} %<br>"
                "%{customdata:,} pairs<extra></extra>",
            }
        )
        said.append(
            f"{name_of(system)}: calibration error {decimal(bins.error)} over {count(sum(bins.pairs))} pairs, of which "
            f"{decimal(100 * known.prevalence, 1)} % are relevant."
        )
    if not data:
        return None
    side = {"ticksuffix": " %", "range": [0, 105 * top]}
    return Figure(
        name="reliability",
        title="Scores as probabilities",
        description=" ".join(said),
        height=380,
        data=[_DIAGONAL, *data],
        layout=layout(axis("predicted", **side), axis("relevant", **side), showlegend=True),
    )
