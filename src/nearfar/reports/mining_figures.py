"""The figures of a mining job: where candidates went, how scores lie, how long lists are."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from nearfar.negatives.candidates import Reason
from nearfar.negatives.reasons import (
    GROUP_OF,
    GROUPS,
    KEPT,
    KNOWN,
    SPARE,
    SUSPECTED,
    TWICE,
    UNFIT,
    UNKNOWN,
    code,
    title,
)
from nearfar.reports.canvas import Figure, Trace, axis, layout, line_at, name_rows, note
from nearfar.reports.distributions import bars_figure
from nearfar.reports.mining_contents import KNOWN_POSITIVES, Account, SourceRow, Spread
from nearfar.reports.mining_words import share
from nearfar.reports.words import count

COLOURS = {
    KNOWN: "@base",
    TWICE: "@bm25",
    UNKNOWN: "@ink/0.45",
    SUSPECTED: "@tuned",
    UNFIT: "@ink",
    SPARE: "@bm25/0.45",
    KEPT: "@good",
}
"""Of each group of reasons."""

_HALF = 0.5
_NARROW = 40
_SHOWN_SIZES = 40


def funnel_figure(account: Account) -> Figure:
    """A bar for what was proposed, one for each reason that starts where the one above ends, one for what is left."""
    total = account.total
    reasons = [reason for reason in Reason if reason and total.count(reason)]
    names = ["proposed", *(title(reason) for reason in reasons), KEPT]
    sizes = [account.candidates, *(total.count(reason) for reason in reasons), account.kept]
    colours = ["@data", *(COLOURS[GROUP_OF[reason]] for reason in reasons), COLOURS[KEPT]]
    starts, left = [0], account.candidates
    for size in sizes[1:-1]:
        left -= size
        starts.append(left)
    starts.append(0)
    data: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "y": list(range(len(names))),
            "x": sizes,
            "base": starts,
            "width": 0.72,
            "marker": {"color": colours},
            "text": [f"{name}: {count(size)}" for name, size in zip(names, sizes, strict=True)],
            "textposition": "none",
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]
    labels = [
        _label(place, start, size, account.candidates, pale=tint == COLOURS[SPARE])
        for place, (start, size, tint) in enumerate(zip(starts, sizes, colours, strict=True))
    ]
    return Figure(
        name="funnel",
        title="What became of the candidates",
        description=", ".join(f"{name}: {count(size)}" for name, size in zip(names, sizes, strict=True)) + ".",
        height=50 + 34 * len(names),
        data=data,
        layout=layout(
            axis(range=[0, max(account.candidates, 1)], tickformat=",~s"),
            name_rows(names, _NARROW),
            annotations=labels,
            shapes=[line_at(0, "vertical")],
        ),
    )


def _label(place: int, start: int, size: int, whole: int, *, pale: bool) -> Trace:
    """The number of a bar: inside one that is long, else beside it, where there is more room.

    Args:
        place: the row.
        start: where the bar begins.
        size: how long it is.
        whole: what was proposed.
        pale: whether the bar's colour wants dark letters on it.
    """
    text = f"<b>{count(size)}</b>" + ("" if place == 0 else f"  {share(size, whole)}")
    if size > _HALF * whole:
        inside = {"color": "@ink" if pale else "@paper", "size": 13}
        return note(text, start + size, place, xanchor="right", xshift=-8, font=inside)
    beside = {"color": "@ink", "size": 13}
    if start + size > _HALF * whole:
        return note(text, start, place, xanchor="right", xshift=-6, font=beside)
    return note(text, start + size, place, xanchor="left", xshift=6, font=beside)


def sources_figure(funnel: Sequence[SourceRow]) -> Figure | None:
    """For each source the shares of its candidates that went each way; None where there is one source."""
    if len(funnel) < 2:
        return None
    shown = [group for group in GROUPS if any(row.group(group) for row in funnel)]
    data: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": group,
            "y": list(range(len(funnel))),
            "x": [100 * row.group(group) / max(1, row.proposed) for row in funnel],
            "width": 0.62,
            "marker": {"color": COLOURS[group]},
            "text": [f"{group}: {count(row.group(group))} of {count(row.proposed)}" for row in funnel],
            "textposition": "none",
            "hovertemplate": "%{text}<extra></extra>",
        }
        for group in shown
    ]
    return Figure(
        name="sources",
        title="The same by source, in shares of what each proposed",
        description=" ".join(
            f"{row.source} proposed {count(row.proposed)}: "
            + ", ".join(f"{share(row.group(group), row.proposed)} {group}" for group in shown)
            + "."
            for row in funnel
        ),
        height=50 + 42 * len(funnel),
        data=data,
        layout=layout(
            axis(range=[0, 100], ticksuffix=" %"),
            name_rows([row.source for row in funnel], _NARROW),
            barmode="stack",
        ),
    )


def score_figure(place: int, name: str, spread: Spread) -> Figure | None:
    """A histogram for each group, each as high as its own tallest bin: a few candidates are seen like many."""
    if not spread.counts:
        return None
    groups = _in_order(spread.counts)
    centres = [(low + high) / 2 for low, high in pairwise(spread.edges)]
    bins = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(spread.edges)]
    data: list[Trace] = []
    for row, group in enumerate(groups):
        counts, base = spread.counts[group], len(groups) - 1 - row
        peak = max(counts)
        data.append(
            {
                "type": "bar",
                "x": centres,
                "y": [round(0.86 * number / peak, 4) for number in counts],
                "base": [base] * len(counts),
                "width": spread.edges[1] - spread.edges[0],
                "marker": {"color": _colour(group), "line": {"width": 0}},
                "text": [
                    f"<b>{group.replace('_', ' ')}</b>, {within}: {count(number)} ({share(number, sum(counts))})"
                    for within, number in zip(bins, counts, strict=True)
                ],
                "textposition": "none",
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    labels = [f"{group.replace('_', ' ')}<br>{count(sum(spread.counts[group]))}" for group in groups]
    bases = list(range(len(groups) - 1, -1, -1))
    rows = axis(
        tickvals=[base + 0.3 for base in bases],
        ticktext=labels,
        range=[0, len(groups)],
        showgrid=False,
        tickfont={"color": "@ink"},
    )
    return Figure(
        name=f"score-{place}",
        title="Score of the source" if name == "source" else f"Score: {name}",
        description=" ".join(_described(group, spread) for group in groups),
        height=70 + 62 * len(groups),
        data=data,
        layout=layout(
            axis(),
            rows,
            barmode="overlay",
            bargap=0,
            shapes=[line_at(base, "horizontal", color="@line") for base in bases],
        ),
        table={
            "from": [low for _ in groups for low in spread.edges[:-1]],
            "to": [high for _ in groups for high in spread.edges[1:]],
            "group": [group for group in groups for _ in bins],
            "candidates": [number for group in groups for number in spread.counts[group]],
        },
    )


def lists_figure(account: Account) -> Figure | None:
    """How many lists have so many negatives; None where all have the same number, which a sentence says as well."""
    sizes = dict(account.list_sizes)
    if len(sizes) < 2:
        return None
    longest = max(*sizes, account.asked or 0)
    shown = range(longest + 1) if longest < _SHOWN_SIZES else sorted(sizes)
    values = [float(sizes.get(size, 0)) for size in shown]
    return bars_figure("lists", "Lists by length", [str(size) for size in shown], values, "negatives in a list")


def _in_order(counts: Mapping[str, Sequence[int]]) -> list[str]:
    """The known positives, the kept, then the reasons in the order of the work."""
    wanted = (KNOWN_POSITIVES, *(code(reason) for reason in Reason))
    return [group for group in wanted if group in counts]


def _colour(group: str) -> str:
    if group == KNOWN_POSITIVES:
        return "@base"
    return COLOURS[GROUP_OF[Reason[group.upper()]]]


def _described(group: str, spread: Spread) -> str:
    counts = spread.counts[group]
    peak = counts.index(max(counts))
    most = f"most often {spread.edges[peak]:.2g} to {spread.edges[peak + 1]:.2g}"
    return f"{group.replace('_', ' ')}, {count(sum(counts))}: {most}."
