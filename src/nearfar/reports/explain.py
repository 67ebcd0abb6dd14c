"""The page of ``nearfar explain``: what objectives do with a pair, drawn, and everything that is known about them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from nearfar.errors import ResourceError
from nearfar.files import write_text
from nearfar.objectives.explain import SEEDS, Curve, PairWeights, curves
from nearfar.objectives.objective import Objective
from nearfar.reports.canvas import Figure
from nearfar.reports.described import SCOPES, Described, describe
from nearfar.reports.frame import render_page
from nearfar.reports.weight_figures import (
    curves_figure,
    hardness_figure,
    largest,
    look,
    origins_figure,
    pairs_figure,
    silent,
)

MARK = '<meta name="generator" content="nearfar explain">'
"""In the head of every page that was written here; a file without it is somebody else's."""

_FAR_APART = 4.0
"""From this ratio of the largest weights on, curves are first shown relative to their own largest."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunPairs:
    """The pairs of some batches of a run, weighed.

    Attributes:
        name: of the run.
        model: the model that embedded them.
        batches: how many batches.
        size: pairs in a batch at most.
        pairs: the weights for each objective, by its text form.
    """

    name: str
    model: str
    batches: int
    size: int
    pairs: Mapping[str, PairWeights]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An objective on the page: what is known about it, its look, and sentences about its curves."""

    id: str
    about: Described
    colour: str
    dash: str
    equation: Markup
    details: Markup
    notes: tuple[str, ...]


def check_page(out: Path) -> Path:
    """Make sure that a page can be written to ``out``: nothing is there, or a page of ours.

    Raises:
        ResourceError: when it is a folder or a file of somebody else.
    """
    if out.is_dir():
        raise ResourceError(f"{out} is a folder. Give a file, such as --out {out / 'explain.html'}.")
    if out.is_file():
        with out.open("rb") as file:
            ours = MARK.encode() in file.read(4096)
        if not ours:
            raise ResourceError(
                f"{out} is there already and was not written by nearfar explain. Nothing was changed; "
                "choose another file with --out."
            )
    return out


def write_explanation(
    objectives: Sequence[Objective], out: Path, run: RunPairs | None = None, seeds: Sequence[int] = SEEDS
) -> Path:
    """Write the page about some objectives and give its path. An older page of ours is replaced.

    Args:
        objectives: at least one; equal ones are shown once.
        out: the file.
        run: weights in the batches of a run.
        seeds: invented batches that the curves are a mean over.

    Raises:
        ResourceError: ``out`` holds something else, or cannot be written.
    """
    check_page(out)
    write_text(out, render(objectives, run, seeds))
    return out


def render(objectives: Sequence[Objective], run: RunPairs | None = None, seeds: Sequence[int] = SEEDS) -> str:
    """The page as text. The same objectives give the same text."""
    distinct = list(dict.fromkeys(objectives))
    drawn = [curves(objective, seeds) for objective in distinct]
    shown = [show(place, objective, drawn[place]) for place, objective in enumerate(distinct)]
    figures = draw(drawn, run)
    tops = [largest(curve) for curve in drawn if largest(curve) > 0]
    return render_page(
        "explain.html.jinja",
        command="explain",
        title=_title(shown),
        figures=figures,
        shown=shown,
        run=run,
        relative=len(tops) > 1 and max(tops) > _FAR_APART * min(tops),
        several=len(shown) > 1,
        seeds=len(seeds),
        scopes=SCOPES,
    )


def draw(drawn: Sequence[Curve], run: RunPairs | None) -> dict[str, Figure]:
    """Every figure of the page by name."""
    scales = (False, True) if len(drawn) > 1 else (False,)
    made = [curves_figure(drawn, side, relative) for side in ("positive", "negative") for relative in scales]
    if run is not None:
        for place, pairs in enumerate(run.pairs.values()):
            name = str(place)
            made += [figure(name, place, pairs) for figure in (pairs_figure, hardness_figure, origins_figure)]
    return {one.name: one for one in made}


def show(place: int, objective: Objective, curve: Curve) -> Shown:
    """An objective as the page shows it."""
    about = describe(objective)
    tint, dash = look(place)
    return Shown(
        id=f"objective-{place}",
        about=about,
        colour=tint,
        dash={"solid": "solid", "dash": "dashed", "dot": "dotted", "dashdot": "dashed"}[dash],
        equation=mathematics(about.equation),
        details=paragraphs(about.details),
        notes=tuple(notes(curve)),
    )


def notes(curve: Curve) -> list[str]:
    """What to know when reading the curves of an objective."""
    found = []
    if curve.kind == "path":
        found.append(
            "It does not compare the two as they are, but looks at their vectors or at others made from them. So its "
            "curve is the slope of the loss along the way of the candidate's vector, on which the candidate's other "
            "similarities change as well."
        )
    for side, points in (("positive", curve.positive), ("negative", curve.negative)):
        if silent(points):
            found.append(f"In this batch the {side} that moves has no weight at all.")
    return found


def mathematics(latex: str) -> Markup:
    """MathML for an equation; code for one that cannot be translated; nothing for none."""
    if not latex:
        return Markup("")
    from latex2mathml.converter import convert

    try:
        return Markup(convert(latex, display="block"))
    except Exception:  # its errors have no common base
        return Markup("<pre><code>{}</code></pre>").format(latex)


def paragraphs(text: str) -> Markup:
    """Paragraphs and lists of a docstring as HTML, with code between backquotes."""
    blocks = []
    for block in filter(None, re.split(r"\n\s*\n", text)):
        escaped = str(escape(block))
        escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
        if block.lstrip().startswith("- "):
            items = "".join(f"<li>{' '.join(item.split())}</li>" for item in re.split(r"(?:^|\n)- ", escaped) if item)
            blocks.append(f"<ul>{items}</ul>")
        else:
            blocks.append(f"<p>{escaped}</p>")
    return Markup("".join(blocks))


def _title(shown: Sequence[Shown]) -> str:
    names = list(dict.fromkeys(each.about.name for each in shown))
    if len(names) > 4:
        return f"What {len(names)} objectives do"
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"What {listed} {'do' if len(names) > 1 else 'does'}"
