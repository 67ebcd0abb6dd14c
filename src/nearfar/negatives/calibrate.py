"""How much a filter removes, and which value of its setting would remove so much."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float64

from nearfar.config.component import is_number
from nearfar.errors import ConfigError, DataError
from nearfar.negatives.candidates import Candidates, Reason
from nearfar.negatives.filters.scores import ScoreFilter
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Filter

_MILDER = 0.5
"""What a proposal drops, as a share of what the filter drops."""
_DOUBTED = 0.5
"""The share of queries without a negative above which a job is doubted."""
_LOST, _SPARED = 0.01, 0.02
"""The share of all candidates, and of those to drop, by which a proposal may drop less, to be a short number."""
_DIGITS = 12
"""After so many digits a short number is not looked for any more."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What a filter does to candidates that reach it.

    Attributes:
        filter: its text form.
        removed: the share of the kept candidates that it drops; 0 where there are none.
        queries: how many queries keep a candidate.
    """

    filter: str
    removed: float
    queries: int


def removal(part: Filter, candidates: Candidates, material: Material) -> Removal:
    """What a filter would do to the candidates that are kept."""
    after = part.apply(candidates, material).kept
    before = int(candidates.kept.sum())
    removed = (before - int(after.sum())) / before if before else 0.0
    return Removal(filter=str(part), removed=removed, queries=len(np.unique(candidates.query[after])))


def removals(
    part: ScoreFilter, values: Sequence[float], candidates: Candidates, material: Material
) -> tuple[Removal, ...]:
    """What a filter would do with each of several values of its setting."""
    return tuple(removal(part.at(value), candidates, material) for value in values)


def propose(part: ScoreFilter, rate: float, candidates: Candidates) -> ScoreFilter:
    """The filter with the value of its setting that drops a share of the candidates that are kept.

    The value is a quantile of the values at which each candidate is at its limit, with as few digits as drop at most a
    hundredth of the candidates less, and a fiftieth of those that are to be dropped. Many equal scores can make it
    differ from the share; ``removal`` measures.

    Args:
        part: the filter; its setting is ignored.
        rate: the share, from 0 to 1. Candidates that are dropped for want of a score count in it.
        candidates: what reaches the filter.

    Raises:
        ConfigError: when ``rate`` is no share, or the value that it asks for is none that the filter takes.
        DataError: when no candidate can be compared, for want of scores.
    """
    if not is_number(rate) or not 0 <= rate <= 1:
        raise ConfigError(f"A removal rate is a share from 0 to 1, got {rate!r}.")
    edges = part.edges(candidates)[candidates.kept]
    known = np.sort(edges[np.isfinite(edges)])
    if not len(known):
        raise DataError(f"No candidate that reaches {part} can be compared: the score {part.by!r} is not known of any.")
    lost = len(edges) - len(known) if part.unscored == "drop" else 0
    many = min(max(int(rate * len(edges)) - lost, 0), len(known) - 1)
    value = float(known[many if part.stricter > 0 else len(known) - 1 - many])
    return part.at(_rounded(value, known, part.stricter, min(_LOST * len(known), _SPARED * many)))


def check_not_empty(candidates: Candidates, filters: Sequence[Filter], material: Material) -> None:
    """Refuse to go on when nothing is left, and say what would leave something.

    Args:
        candidates: after the filters.
        filters: in the order in which they worked.
        material: what they looked at.

    Raises:
        DataError: with the number of candidates that each reason has, and a value for the filter that dropped most.
    """
    if candidates.kept.any():
        return
    if not len(candidates):
        raise DataError("No source proposed a candidate for any query. Is there more than one document to search?")
    total, counts = len(candidates), candidates.count()
    told = ", ".join(f"{count:,} {reason.name}" for reason, count in counts.items() if count)
    said = f"No query keeps a negative. What became of {total:,} candidates: {told}."
    worst = _worst(candidates, filters)
    if worst is None:
        raise DataError(
            f"{said} The corpus holds too little beside the positives, or the sources do not go deep enough."
        )
    raise DataError(f"{said} {_blame(candidates, filters, worst, material)}")


def doubts(candidates: Candidates, filters: Sequence[Filter], material: Material) -> str:
    """A warning where more than half of the queries keep nothing, with a milder setting; else nothing."""
    have, all_queries = len(np.unique(candidates.query[candidates.kept])), len(material.queries)
    worst = _worst(candidates, filters)
    if worst is None or have >= (1 - _DOUBTED) * all_queries:
        return ""
    blame = _blame(candidates, filters, worst, material)
    return f"{all_queries - have:,} of {all_queries:,} queries have no negative. {blame}"


def _worst(candidates: Candidates, filters: Sequence[Filter]) -> int | None:
    """The place of the filter that dropped most, None where none dropped anything."""
    counts = [_dropped(candidates, part) for part in filters]
    worst = max(range(len(filters)), key=counts.__getitem__, default=None)
    return None if worst is None or not counts[worst] else worst


def _dropped(candidates: Candidates, part: Filter) -> int:
    """How many candidates a filter has dropped, or filters of the same kind."""
    count = int((candidates.reason == part.reason).sum())
    if isinstance(part, ScoreFilter) and part.unscored == "drop":
        silent = candidates.reason == Reason.UNSCORED
        count += int((silent & part.unknown(candidates)).sum()) if silent.any() else 0
    return count


def _blame(candidates: Candidates, filters: Sequence[Filter], worst: int, material: Material) -> str:
    """How much a filter dropped, and what would drop less."""
    dropped = _dropped(candidates, filters[worst]) / len(candidates)
    advice = _advice(filters[worst], _reached(candidates, filters[worst:]), material)
    return f"{filters[worst]} dropped {_percent(dropped)} of the candidates. {advice}"


def _reached(candidates: Candidates, filters: Sequence[Filter]) -> Candidates:
    """The candidates as they were before the first of some filters."""
    again = np.isin(candidates.reason, [Reason.UNSCORED, *(part.reason for part in filters)])
    return replace(candidates, reason=np.where(again, np.int8(Reason.KEPT), candidates.reason))


def _advice(part: Filter, before: Candidates, material: Material) -> str:
    if not isinstance(part, ScoreFilter):
        return "Leave it out, make it milder, or let the sources go deeper."
    scores = before.score(part.by)[before.kept]
    if np.isnan(scores).all():
        return f"The score {part.by!r} is not known of any candidate; unscored=keep keeps those."
    if np.nanmin(scores) == np.nanmax(scores) and len(scores) > 1:
        return f"The score {part.by!r} is the same for all of them, so it tells nothing. Take another scorer."
    try:
        milder = propose(part, removal(part, before, material).removed * _MILDER, before)
    except DataError:
        return f"The score {part.by!r} is not known of any positive; unscored=keep keeps their candidates."
    return f"{milder} would drop {_percent(removal(milder, before, material).removed)} of what reached it."


def _rounded(value: float, edges: Float64[np.ndarray, " edge"], stricter: int, most: float) -> float:
    """The value with few digits, in the direction that drops less; at most so many sorted edges are in between."""
    side: Literal["left", "right"] = "left" if stricter > 0 else "right"
    place = int(np.searchsorted(edges, value, side))
    for digits in range(_DIGITS):
        scale = 10.0**digits
        rounded = round((math.floor if stricter > 0 else math.ceil)(value * scale) / scale, digits)
        if abs(int(np.searchsorted(edges, rounded, side)) - place) <= most:
            return rounded
    return value


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
