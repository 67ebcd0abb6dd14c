"""The plots of the objectives: curves that are kept in a file, and a drawing of each."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nearfar.objectives import catalogue
from nearfar.objectives.explain import GRID, Curve, curves

SEEDS = (0, 1)
TOLERANCE = 0.01
"""Of the largest weight of a curve: what two machines may differ by, and what rounding takes."""

Points = tuple[float | None, ...]


def computed(kept: Mapping[str, Curve]) -> dict[str, Curve]:
    """The curves of every named objective with its default settings, with three significant digits.

    Args:
        kept: curves that are taken as they are.
    """
    return {
        entry.name: kept[entry.name] if entry.name in kept else shortened(curves(entry(), SEEDS))
        for entry in catalogue()
    }


def shortened(curve: Curve) -> Curve:
    """A curve with three significant digits; what is nothing beside its largest weight is 0."""
    top = max((abs(value) for value in (*curve.positive, *curve.negative) if value is not None), default=0.0)

    def short(points: Points) -> Points:
        return tuple(
            None if value is None else 0.0 if abs(value) < 1e-6 * max(top, 1e-6) else float(f"{value:.3g}")
            for value in points
        )

    return Curve(
        name=curve.name,
        similarity=GRID,
        positive=short(curve.positive),
        negative=short(curve.negative),
        kind=curve.kind,
    )


def read(path: Path) -> dict[str, Curve]:
    """The curves of a file; none when it is missing."""
    if not path.is_file():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"), parse_int=float)
    return {
        name: Curve(
            name=each["text"],
            similarity=tuple(stored["cosine"]),
            positive=tuple(each["positive"]),
            negative=tuple(each["negative"]),
            kind=each["kind"],
        )
        for name, each in stored["objectives"].items()
    }


def written(known: Mapping[str, Curve]) -> str:
    """The content of the file, a line for each list."""
    lines = ["{", f'"cosine": {json.dumps(GRID)},', '"objectives": {']
    for place, (name, curve) in enumerate(known.items()):
        lines.append(f'"{name}": {{"text": {json.dumps(curve.name)}, "kind": "{curve.kind}",')
        lines.append(f' "positive": {_numbers(curve.positive)},')
        lines.append(f' "negative": {_numbers(curve.negative)}}}{"," if place < len(known) - 1 else ""}')
    return "\n".join([*lines, "}", "}"]) + "\n"


def _numbers(points: Sequence[float | None]) -> str:
    return "[" + ", ".join("null" if value is None else f"{value:g}" for value in points) + "]"


def close(one: Curve, other: Curve) -> bool:
    """Whether two curves are the same but for what machines differ by."""
    if (one.kind, one.name, one.similarity) != (other.kind, other.name, other.similarity):
        return False
    for mine, theirs in ((one.positive, other.positive), (one.negative, other.negative)):
        if [value is None for value in mine] != [value is None for value in theirs]:
            return False
        pairs = [(a, b) for a, b in zip(mine, theirs, strict=True) if a is not None and b is not None]
        top = max((abs(value) for pair in pairs for value in pair), default=0.0)
        if any(abs(a - b) > TOLERANCE * top for a, b in pairs):
            return False
    return True


def draw(curve: Curve, path: Path) -> None:
    """The plot of an objective: the weight of a positive, and that of a negative."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    grey = "#868e96"  # as far from white as from black
    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "nearfar",
        "font.size": 9,
        "text.color": grey,
        "axes.edgecolor": grey,
        "axes.labelcolor": grey,
        "axes.titlecolor": grey,
        "xtick.color": grey,
        "ytick.color": grey,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "path.simplify": True,
    }
    with matplotlib.rc_context(style):
        figure, panels = pyplot.subplots(1, 2, figsize=(6.4, 2.1), layout="constrained")
        for panel, side, colour in zip(panels, ("positive", "negative"), ("#3b8eea", "#e8590c"), strict=True):
            points = getattr(curve, side)
            panel.axhline(0, color=grey, linewidth=0.6)
            panel.plot(curve.similarity, [float("nan") if value is None else value for value in points], color=colour)
            panel.set_title(f"weight of a {side}", fontsize=9)
            panel.set_xlabel("cosine")
            panel.set_xticks([-1, 0, 1])
            panel.locator_params(axis="y", nbins=4)
            low, high = panel.get_ylim()
            flat = all(not value for value in points)
            panel.set_ylim(min(low, 0.0), 1.0 if flat else max(high, 0.0))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    path.write_text(small(path.read_text(encoding="utf-8")), encoding="utf-8")


def small(svg: str) -> str:
    """A drawing without what no reader sees: comments, the notice of the program, digits below a hundredth."""
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<!DOCTYPE[^>]*>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), svg)
    return "\n".join(line.strip() for line in svg.splitlines() if line.strip()) + "\n"
