"""The page of ``nearfar diagnose``: what is wrong with a run, each cause with its numbers, its advice and texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from nearfar.reports import words
from nearfar.reports.canvas import Figure, axis, layout, line_at
from nearfar.reports.frame import render_page

PAGE = "diagnosis.html"
_NAMED, _NOT_MEASURED = "named", "not measured"
_FARTHEST = 2.0
"""Shares of the way to a limit that the figure reaches; what is beyond stands at its end."""


def render(diagnosis: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        diagnosis: what ``diagnosis.json`` holds.
    """
    causes: Sequence[Mapping[str, Any]] = diagnosis["causes"]
    figure = _figure([cause for cause in causes if cause["signs"]])
    changes = diagnosis["changes"]
    return render_page(
        "diagnosis.html.jinja",
        command="diagnose",
        title=str(diagnosis["run"].get("name", "a run")),
        figures={} if figure is None else {figure.name: figure},
        headline=headline(causes),
        run=diagnosis["run"],
        notes=diagnosis["notes"],
        causes=causes,
        named=[cause for cause in causes if cause["state"] == _NAMED],
        unmeasured=[cause for cause in causes if cause["state"] == _NOT_MEASURED],
        changes=changes,
        number=number,
        range_of=range_of,
    )


def headline(causes: Sequence[Mapping[str, Any]]) -> str:
    """One sentence: the cause with most evidence, and how many more there are."""
    named = [cause for cause in causes if cause["state"] == _NAMED]
    if not named:
        return "No cause of trouble was found in what could be measured."
    more = f", and {len(named) - 1} more" if len(named) > 1 else ""
    return f"{named[0]['title']}{more}."


def number(value: Any) -> str:
    """A number, a setting, or a dash for what is not there."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.3g}".replace("-", words.MINUS) if isinstance(value, float) else str(value)


def range_of(sign: Mapping[str, Any]) -> str:
    """The interval of a sign, empty where it has none."""
    return "" if sign["low"] is None or sign["high"] is None else f"{number(sign['low'])} to {number(sign['high'])}"


def _figure(causes: Sequence[Mapping[str, Any]]) -> Figure | None:
    """How near the strongest sign of each cause is to its limit."""
    known = [(cause, cause["signs"][0]) for cause in causes if cause["signs"][0]["strength"] is not None]
    if not known:
        return None
    names = [cause["cause"] for cause, _ in known]
    shares = [min(_FARTHEST, max(0.0, sign["strength"])) for _, sign in known]
    colours = ["@tuned" if cause["state"] == _NAMED else "@soft" for cause, _ in known]
    hover = [f"{sign['name']}: {number(sign['value'])}, named from {number(sign['limit'])}" for _, sign in known]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "x": shares,
            "y": names,
            "marker": {"color": colours},
            "hovertext": hover,
            "hoverinfo": "text",
        }
    ]
    x = axis("from usual (0) to the limit (1)", range=[0, _FARTHEST], gridcolor="@line")
    y = axis(autorange="reversed")
    beyond = [name for name, (cause, _) in zip(names, known, strict=True) if cause["state"] == _NAMED]
    return Figure(
        name="signs",
        title="How near each cause is to being named",
        description=f"{len(known)} causes were measured. Named: {', '.join(beyond) or 'none'}.",
        height=60 + 34 * len(known),
        data=data,
        layout=layout(x, y, shapes=[line_at(1, "vertical", color="@tuned", width=2, dash="dash")]),
    )
