"""The part of a run's page about thresholds and the shape of the space: figures, tables, sentences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup

from nearfar.data.tables import DEV
from nearfar.evaluation.calibrated import Calibration
from nearfar.evaluation.separation import Estimate
from nearfar.evaluation.space import Geometry
from nearfar.evaluation.thresholds import Precision
from nearfar.reports import calibration_figures, words
from nearfar.reports.canvas import Figure
from nearfar.reports.contents import Run
from nearfar.reports.frame import environment

SYSTEMS = ("base", "tuned")
Value = TypeVar("Value")
_COMPARABLE = 0.01
"""A gap of areas below which scores of different queries count as comparable."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A value and its interval, or an empty string."""

    value: str
    interval: str = ""


@dataclass(frozen=True, kw_only=True)
class Areas:
    """A row of the table of areas."""

    system: str
    others: str
    within: Measured
    pooled: Measured
    gap: Measured


@dataclass(frozen=True, kw_only=True)
class ShapeRow:
    """A row of the table of the space: a value for each system, and what the number says."""

    name: str
    values: tuple[str, ...]
    meaning: str


def of_run(run: Run) -> tuple[dict[str, Calibration], dict[str, Geometry]]:
    """What is known of base and tuned, of those that are there."""
    return _shown(run.calibration), _shown(run.geometry)


def draw_shape(calibration: Mapping[str, Calibration]) -> list[Figure | None]:
    """The figures of this part."""
    return [calibration_figures.roc_figure(calibration), calibration_figures.reliability_figure(calibration)]


def render_shape(
    calibration: Mapping[str, Calibration],
    geometry: Mapping[str, Geometry],
    drawn: Mapping[str, Figure],
    place: str = "",
) -> Markup:
    """The part as HTML.

    Args:
        calibration: by system; none leaves a sentence.
        geometry: by system; none leaves a sentence.
        drawn: all figures of the page by name.
        place: the folder of the files of this part inside that of the page, as ``evaluation/``.
    """
    last = next(reversed(list(calibration)), None)
    known = calibration[last] if last is not None else None
    page = (
        environment()
        .get_template("shape.html.jinja")
        .render(
            calibration=calibration,
            geometry=geometry,
            sentence=comparable(last, known) if last is not None and known is not None else "",
            level=_level(calibration),
            areas=list(_areas(calibration)),
            notes=list(dict.fromkeys(note for one in calibration.values() for note in one.notes)),
            figures=drawn,
            place=place,
            system=last,
            **(_thresholds(known) if known is not None else {"precisions": []}),
            alarms=[(system, alarm.sentence) for system, one in geometry.items() for alarm in one.alarms],
            shapes=list(geometry),
            rows=list(shape_rows(geometry)),
        )
    )
    return Markup(page)


def comparable(system: str, calibration: Calibration) -> str:
    """Whether scores of different queries can be compared, as a sentence."""
    hits = calibration.hits
    if hits is None:
        return "There is nothing to compare: no query has both a relevant document and a wrong one among its hits."
    within, pooled = words.decimal(hits.within.value), words.decimal(hits.pooled.value)
    start = (
        f"Within a query, {words.name_of(system)} scores a relevant document above a wrong hit with a chance of "
        f"{within}; over all queries together, {pooled}."
    )
    if hits.gap.low > _COMPARABLE:
        return (
            f"{start} Scores of different queries are not on one scale: a single threshold keeps out less than the "
            "order within a query promises."
        )
    if hits.gap.high < _COMPARABLE:
        return f"{start} Scores of different queries are on one scale: a single threshold loses next to nothing."
    return f"{start} Whether scores of different queries are on one scale cannot be told from so few queries."


def shape_rows(geometry: Mapping[str, Geometry]) -> Iterator[ShapeRow]:
    """The numbers of the space that any system has."""
    for name, meaning, value in _ROWS:
        values = tuple(value(one) for one in geometry.values())
        if any(each != _NONE for each in values):
            yield ShapeRow(name=name, values=values, meaning=meaning)


_NONE = words.decimal(None)


def _rank(geometry: Geometry) -> str:
    cloud = geometry.documents
    return _NONE if cloud is None else f"{words.decimal(cloud.effective_rank, 1)} of {cloud.width}"


def _hubness(geometry: Geometry) -> str:
    hubs = geometry.hubs
    return _NONE if hubs is None else f"{words.decimal(hubs.skew, 1)} ({words.decimal(hubs.skew_by_chance, 1)})"


_ROWS = (
    ("Alignment", "mean squared distance of relevant pairs; lower is closer", lambda one: words.decimal(one.alignment)),
    (
        "Uniformity of documents",
        "0 for a single point, lower is more spread out; about \N{MINUS SIGN}4 for random directions",
        lambda one: words.decimal(one.documents.uniformity if one.documents is not None else None),
    ),
    (
        "Mean cosine of two documents",
        "near 0 where no direction is preferred",
        lambda one: words.decimal(one.documents.anisotropy if one.documents is not None else None),
    ),
    ("Tolerance", "mean cosine of documents with the same label", lambda one: words.decimal(one.tolerance)),
    ("Effective rank of documents", "in how many directions they vary", _rank),
    ("Queries from documents", "distance of the two means", lambda one: words.decimal(one.gap)),
    (
        "Told apart by a plane",
        "how often a linear separator knows a query from a document; 0.5 is chance",
        lambda one: words.decimal(one.separator),
    ),
    ("Hubness", "skew of how often a document is in the first ten (and by chance)", _hubness),
    (
        "Never in the first ten",
        "share of documents that no query finds",
        lambda one: words.decimal(one.hubs.never if one.hubs is not None else None),
    ),
    (
        "Length bias",
        "rank correlation of a document's length with its mean similarity to queries",
        lambda one: words.decimal(one.length_bias),
    ),
)


def _shown(systems: Mapping[str, Value] | None) -> dict[str, Value]:
    return {system: systems[system] for system in SYSTEMS if system in systems} if systems is not None else {}


def _level(calibration: Mapping[str, Calibration]) -> str:
    known = [one.hits or one.random for one in calibration.values()]
    return next((words.percent(one.confidence) for one in known if one is not None), "")


def _areas(calibration: Mapping[str, Calibration]) -> Iterator[Areas]:
    for kind, others in (("hits", "wrong hits"), ("random", "random")):
        for system, one in calibration.items():
            found = getattr(one, kind)
            if found is not None:
                within, pooled, gap = (_interval(each) for each in (found.within, found.pooled, found.gap))
                yield Areas(system=system, others=others, within=within, pooled=pooled, gap=gap)


def _interval(estimate: Estimate) -> Measured:
    low, high = words.decimal(estimate.low), words.decimal(estimate.high)
    return Measured(value=words.decimal(estimate.value), interval=f"{low} to {high}")


def _thresholds(known: Calibration) -> dict[str, object]:
    """The tables of thresholds, for the template."""
    fitted_on = known.probability.fitted_on if known.probability is not None else "other queries"
    return {
        "fitted_on": "the dev queries" if fitted_on == DEV else fitted_on,
        "tried_on": "the other half" if fitted_on.startswith("half") else f"the {known.split} queries",
        "promise": _promise(known, fitted_on == DEV),
        "possible": _share(known.recall[0].possible) if known.recall else "",
        "precisions": [
            (
                words.percent(one.wanted),
                words.decimal(one.threshold),
                _share(one.answered),
                Measured(value=_share(one.reached), interval=_bounds(one)),
            )
            for one in known.precision
        ],
        "recalls": [
            (words.percent(one.wanted), words.decimal(one.threshold), words.decimal(one.shown, 1), _share(one.reached))
            for one in known.recall
        ],
    }


def _promise(known: Calibration, on_dev: bool) -> str:
    if not known.precision:
        return ""
    said = (
        f"A precision is promised with {words.percent(known.precision[0].confidence)} confidence in each row, a recall "
        "on average; both for new queries like those that the threshold was found on. A dash: nothing could be "
        "promised."
    )
    return said + (" Dev also chose the weights of the tuned model, so its promises are a little weaker." * on_dev)


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{words.decimal(100 * value, 1)} %"


def _bounds(one: Precision) -> str:
    """The interval of a precision in per cent, or an empty string."""
    if one.reached is None or one.low is None or one.high is None:
        return ""
    return f"{words.decimal(100 * one.low, 1)} to {words.decimal(100 * one.high, 1)}"
