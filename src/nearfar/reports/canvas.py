"""What all figures share: a value for Plotly, the layout, and colours by name.

A colour is written as ``@name`` or ``@name/opacity``. The page resolves it against its style sheet when it draws,
and again when the reader changes between light and dark, so a figure has no colours of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import shorten, wrap
from typing import Any

Trace = dict[str, Any]
Columns = Mapping[str, Sequence[str | float | int | None]]
"""A table by columns, all of one length."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
CLEAR = "rgba(0,0,0,0)"
SYMBOLS = {"bm25": "square", "base": "diamond", "tuned": "circle"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Figure:
    """One figure.

    Attributes:
        name: its id on the page.
        title: a short line above it.
        description: what it shows, in words with numbers, for those who do not see it.
        height: in CSS pixels.
        data, layout: what Plotly draws, with named colours.
        table: the numbers behind it, to be downloaded; None where what is drawn says them already.
    """

    name: str
    title: str
    description: str
    height: int
    data: list[Trace]
    layout: Mapping[str, Any]
    table: Columns | None = None


def colour(system: str, opacity: float | None = None) -> str:
    """The named colour of a system; one that is not BM25, base or tuned takes the colour of text."""
    name = system if system in SYMBOLS else "ink"
    return f"@{name}" if opacity is None else f"@{name}/{opacity:g}"


def axis(title: str = "", **changes: Any) -> dict[str, Any]:
    """An axis with quiet grid lines."""
    return {
        "title": {"text": title, "standoff": 10, "font": {"size": 13}},
        "gridcolor": "@line",
        "linecolor": "@line",
        "tickcolor": "@line",
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        **changes,
    }


def layout(x: Mapping[str, Any], y: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The layout of every figure: no background, system font, legend above."""
    return {
        "font": {"family": FONT, "size": 13, "color": "@soft"},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "xaxis": dict(x),
        "yaxis": dict(y),
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        "hoverlabel": {
            "bgcolor": "@surface",
            "bordercolor": "@line",
            "font": {"family": FONT, "size": 13, "color": "@ink"},
            "align": "left",
        },
        "modebar": {"bgcolor": CLEAR, "color": "@soft", "activecolor": "@ink"},
        "dragmode": False,
        "hovermode": "closest",
        **changes,
    }


def error_bars(values: Sequence[float], bounds: Sequence[tuple[float, float]], tint: str) -> Trace:
    """Error bars from absolute bounds, which need not lie symmetrically."""
    return {
        "type": "data",
        "symmetric": False,
        "array": rounded(max(0.0, high - value) for value, (_, high) in zip(values, bounds, strict=True)),
        "arrayminus": rounded(max(0.0, value - low) for value, (low, _) in zip(values, bounds, strict=True)),
        "color": tint,
        "thickness": 2,
        "width": 0,
    }


def name_rows(names: Sequence[str], limit: int = 24) -> dict[str, Any]:
    """An axis with names as rows, the first on top, each cut to ``limit`` characters."""
    return axis(
        tickvals=list(range(len(names))),
        ticktext=[hover_text(name, limit, limit) for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        tickfont={"color": "@ink"},
    )


def line_at(value: float | int, direction: str, **style: Any) -> dict[str, Any]:
    """A straight line over the whole figure, ``vertical`` at an x or ``horizontal`` at a y."""
    across, along = ("x", "y") if direction == "vertical" else ("y", "x")
    return {
        "type": "line",
        f"{across}ref": across,
        f"{across}0": value,
        f"{across}1": value,
        f"{along}ref": "paper",
        f"{along}0": 0,
        f"{along}1": 1,
        "layer": "below",
        "line": {"color": "@soft", "width": 1, **style},
    }


def note(text: str, x: float | int, y: float | int, **changes: Any) -> dict[str, Any]:
    """A short text inside a figure."""
    return {"text": text, "x": x, "y": y, "showarrow": False, "font": {"color": "@soft", "size": 13}, **changes}


def hover_text(text: str, limit: int = 240, width: int = 52) -> str:
    """A text of the data for a hover label: shortened, wrapped, and without markup that Plotly would obey."""
    lines = wrap(shorten(" ".join(text.split()), limit, placeholder=" \N{HORIZONTAL ELLIPSIS}"), width) or [""]
    return "<br>".join(escape(line, quote=False) for line in lines)


def rounded(values: Any, places: int = 5) -> list[float]:
    """Numbers as Python floats with no more digits than a screen shows."""
    return [round(float(value), places) for value in values]
