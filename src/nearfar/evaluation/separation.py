"""How well scores tell relevant documents from others, within a query and with one scale for all queries.

The area under the ROC curve is the chance that a relevant document scores above another one, ties counting half. Within
a query it asks whether the order is right; pooled over all queries it asks whether a score means the same whoever
asked. High within and low pooled: no single threshold works (2510.00137).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from scipy.stats import norm, rankdata

from nearfar.errors import ConfigError, DataError, ShapeError, first_few

FALSE_SHARES = tuple(
    np.unique(np.round(np.concatenate([[0.0], np.logspace(-4, 0, 33), np.linspace(0, 1, 41)]), 6)).tolist()
)
"""Where curves are read off: shares of other documents above the threshold."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with the interval that other queries of the same kind would leave it in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Separation:
    """What scores tell apart, over all pairs of some queries.

    Attributes:
        queries: those with a relevant and another document; the others say nothing about order.
        relevant, others: pairs of these queries.
        within: the mean over queries of the area under each one's curve.
        pooled: the area under the curve of all pairs together.
        gap: ``within`` minus ``pooled``. Above 0: scores are not comparable between queries.
        confidence: of the intervals, which are over queries.
        found_within, found_pooled: the share of relevant pairs above a threshold that lets through each of
            ``FALSE_SHARES`` of the others; within is the mean over queries.
    """

    queries: int
    relevant: int
    others: int
    within: Estimate
    pooled: Estimate
    gap: Estimate
    confidence: float
    found_within: tuple[float, ...]
    found_pooled: tuple[float, ...]


def separation(
    scores: Float[np.ndarray, " pair"],
    relevant: Bool[np.ndarray, " _relevant"],
    query: Int64[np.ndarray, " _query"],
    *,
    confidence: float = 0.95,
) -> Separation:
    """Areas within queries and pooled, the gap between the two, and the curves.

    Intervals come from what each query contributes (Obuchowski 1997, ROC curves of clustered data), on the scale of
    the log odds for the areas, so they stay within 0 and 1. With one query, or with all areas 0 or 1, their width is 0:
    that is no evidence, look at the number of queries.

    Args:
        scores: of pairs of a query and a document, in any order.
        relevant: which pairs are relevant.
        query: a number for the query of each pair.
        confidence: of the intervals.

    Raises:
        DataError: no query has both a relevant and another document, or a score is not finite.
        ShapeError: the arguments differ in length.
        ConfigError: ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence must be between 0 and 1, such as 0.95, got {confidence}.")
    check_pairs(scores, relevant, query)
    rows, areas = auc_by_query(scores, relevant, query)
    if not len(rows):
        raise DataError(
            f"No query has both a relevant and another document among {len(scores)} pairs, so there is no order "
            "to judge."
        )
    keep = np.isin(query, rows)
    scores, relevant = scores[keep], relevant[keep]
    place = np.searchsorted(rows, query[keep])
    pooled, influence = _pooled(scores, relevant, place, len(rows))
    within = float(areas.mean())
    own = (areas - within) / len(rows)
    z = float(norm.ppf((1 + confidence) / 2))
    width = z * _spread(own - influence)
    return Separation(
        queries=len(rows),
        relevant=int(relevant.sum()),
        others=int((~relevant).sum()),
        within=_on_odds(within, z * _spread(own)),
        pooled=_on_odds(pooled, z * _spread(influence)),
        gap=Estimate(value=within - pooled, low=within - pooled - width, high=within - pooled + width),
        confidence=confidence,
        found_within=_rounded(_curve_within(scores, relevant, place, len(rows))),
        found_pooled=_rounded(_found(scores[relevant], scores[~relevant])),
    )


def auc(scores: Float[np.ndarray, " pair"], relevant: Bool[np.ndarray, " _relevant"]) -> float:
    """The chance that a relevant pair scores above another one, ties half, from ranks (Mann and Whitney 1947).

    Raises:
        DataError: all pairs are relevant, or none, or a score is not finite.
        ShapeError: the arguments differ in length.
    """
    positives, others = both_kinds(scores, relevant, "An area under the ROC curve needs pairs of both kinds")
    ranks = rankdata(scores)
    return float((ranks[relevant].sum() - positives * (positives + 1) / 2) / (positives * others))


def auc_by_query(
    scores: Float[np.ndarray, " pair"], relevant: Bool[np.ndarray, " pair"], query: Int64[np.ndarray, " pair"]
) -> tuple[Int64[np.ndarray, " _query"], Float64[np.ndarray, " _query"]]:
    """The area of each query that has pairs of both kinds: queries, ascending, and their areas. May be empty."""
    if not len(scores):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    order = np.lexsort((scores, query))
    ordered, kinds, owner = scores[order], relevant[order], query[order]
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    ranks = _tied_ranks(ordered, owner) - np.repeat(starts, np.diff(np.r_[starts, len(owner)]))
    positives = np.add.reduceat(kinds.astype(np.int64), starts)
    others = np.diff(np.r_[starts, len(owner)]) - positives
    sums = np.add.reduceat(np.where(kinds, ranks, 0.0), starts)
    both = (positives > 0) & (others > 0)
    areas = (sums - positives * (positives + 1) / 2)[both] / (positives * others)[both]
    return owner[starts][both].astype(np.int64), areas


def both_kinds(
    scores: Float[np.ndarray, " _pair"], relevant: Bool[np.ndarray, " _relevant"], need: str
) -> tuple[int, int]:
    """How many pairs are relevant and how many are not, at least one of each; ``need`` begins the message otherwise.

    Raises:
        DataError: all pairs are relevant, or none, or a score is not finite.
        ShapeError: the arguments differ in length.
    """
    check_pairs(scores, relevant, np.zeros(len(scores), dtype=np.int64))
    positives = int(relevant.sum())
    others = len(scores) - positives
    if not positives or not others:
        kind = "relevant" if positives else "not relevant"
        raise DataError(f"{need}; all {len(scores)} are {kind}.")
    return positives, others


def check_pairs(
    scores: Float[np.ndarray, " _pair"],
    relevant: Bool[np.ndarray, " _relevant"],
    query: Int64[np.ndarray, " _query"],
) -> None:
    """Refuse scores that are not finite and columns of different lengths.

    Raises:
        DataError: a score is NaN or infinite.
        ShapeError: the columns differ in length.
    """
    if not len(scores) == len(relevant) == len(query):
        raise ShapeError(
            f"Each pair needs a score, a kind and a query: there are {len(scores)} scores, {len(relevant)} kinds and "
            f"{len(query)} queries."
        )
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise DataError(
            f"Scores must be finite numbers; {len(wrong)} of {len(scores)} are NaN or infinite, those of pairs "
            f"{first_few(wrong.tolist())}. Look for NaN in the vectors."
        )


def _tied_ranks(
    ordered: Shaped[np.ndarray, " pair"], owner: Int64[np.ndarray, " pair"]
) -> Float64[np.ndarray, " pair"]:
    """Ranks from 1 of sorted scores; equal scores of one query share the mean of their ranks."""
    first = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]) | (owner[1:] != owner[:-1])])
    last = np.r_[first[1:], len(ordered)]
    return np.repeat((first + 1 + last) / 2, last - first)


def _pooled(
    scores: Float[np.ndarray, " pair"],
    relevant: Bool[np.ndarray, " pair"],
    place: Int64[np.ndarray, " pair"],
    count: int,
) -> tuple[float, Float64[np.ndarray, " query"]]:
    """The pooled area, and how far each query moves it away from what it would be without it."""
    high, low = scores[relevant], scores[~relevant]
    above = _share_below(high, low)
    below = 1 - _share_below(low, high)
    area = float(above.mean())
    moved = np.bincount(place[relevant], above - area, count) / len(high)
    return area, moved + np.bincount(place[~relevant], below - area, count) / len(low)


def _share_below(
    values: Float[np.ndarray, " _value"], among: Float[np.ndarray, " _among"]
) -> Float64[np.ndarray, " _value"]:
    """The share of ``among`` that lies below each value, ties half."""
    ordered = np.sort(among)
    twice = np.searchsorted(ordered, values) + np.searchsorted(ordered, values, side="right")
    return twice / (2.0 * len(ordered))


def _spread(influence: Float64[np.ndarray, " query"]) -> float:
    """The standard error of a number that is moved so far by each query."""
    count = len(influence)
    return float(np.sqrt(count / (count - 1) * np.square(influence).sum())) if count > 1 else 0.0


def _on_odds(area: float, width: float) -> Estimate:
    """An interval whose half width holds on the scale of the log odds."""
    if width == 0 or not 0 < area < 1:
        return Estimate(value=area, low=area, high=area)
    odds, step = np.log(area / (1 - area)), width / (area * (1 - area))
    low, high = (float(1 / (1 + np.exp(-bound))) for bound in np.clip((odds - step, odds + step), -700, 700))
    return Estimate(value=area, low=low, high=high)


def _found(high: Float[np.ndarray, " _relevant"], low: Float[np.ndarray, " _other"]) -> Float64[np.ndarray, " _share"]:
    """The share of ``high`` that is found at each of ``FALSE_SHARES`` of ``low``; straight lines across ties."""
    levels = np.unique(np.concatenate([high, low]))[::-1]
    false = (len(low) - np.searchsorted(np.sort(low), levels)) / len(low)
    true = (len(high) - np.searchsorted(np.sort(high), levels)) / len(high)
    found: Float64[np.ndarray, " _share"] = np.interp(FALSE_SHARES, np.r_[0.0, false], np.r_[0.0, true])
    return found


def _curve_within(
    scores: Float[np.ndarray, " pair"],
    relevant: Bool[np.ndarray, " pair"],
    place: Int64[np.ndarray, " pair"],
    count: int,
) -> Float64[np.ndarray, " _share"]:
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(count + 1))
    total = np.zeros(len(FALSE_SHARES))
    for start, stop in pairwise(ends.tolist()):
        own = order[start:stop]
        total += _found(scores[own][relevant[own]], scores[own][~relevant[own]])
    return total / count


def _rounded(values: Float64[np.ndarray, " _value"]) -> tuple[float, ...]:
    return tuple(np.round(values, 6).tolist())
