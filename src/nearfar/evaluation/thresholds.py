"""Thresholds that keep a promise: found on some queries, with a guarantee for others of the same kind.

Precision: a system that answers with its first document only where its score is above the threshold. The promise holds
with a chosen confidence over the draw of the queries that the threshold was found on (Learn then Test, 2110.01052,
with the exact binomial bound of Clopper and Pearson). Recall: a system that shows every found document from the
threshold on. The promise is about the mean over queries, the ones used for finding included in the chance (conformal
risk control, 2208.02814). Both need queries that come from the same source, one by one: queries in groups, a shift of
topics, or a model that was chosen on the same queries take the guarantee away.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.stats import beta, binom

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.separation import check_pairs

SHARES = 20
"""Shares of queries answered that are tried, evenly spread up to all but one; each costs a part of the confidence."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """What became of a threshold for precision on other queries; numbers are None where no threshold was found.

    Attributes:
        wanted: the precision.
        confidence: with which it was promised.
        threshold: answer where the first document scores above it. None: no threshold could be promised.
        answered: the share of the other queries that are answered.
        reached: the share of these whose first document is relevant.
        low, high: the exact interval of ``reached``.
    """

    wanted: float
    confidence: float
    threshold: float | None
    answered: float | None = None
    reached: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Recall:
    """What became of a threshold for recall on other queries; numbers are None where no threshold was found.

    Attributes:
        wanted: the mean recall.
        possible: the mean recall of all that the search gives, on the queries that the threshold was found on.
        threshold: show what scores at least so much. None: the search does not find enough.
        reached: the mean recall on the other queries.
        shown: documents shown for one of them, on average.
    """

    wanted: float
    possible: float
    threshold: float | None
    reached: float | None = None
    shown: float | None = None


def precision_threshold(
    scores: Float[np.ndarray, " query"],
    relevant: Bool[np.ndarray, " _relevant"],
    *,
    wanted: float,
    confidence: float = 0.95,
) -> float | None:
    """The lowest threshold above which first documents are relevant often enough, or None.

    Guarantee, without any assumption about scores: if these queries and a new one are drawn independently from one
    source, then with probability at least ``confidence`` over the draw of these queries, a new query whose first
    document scores above the threshold has a relevant first document with probability at least ``wanted``.

    Why: the m best scores above the (m + 1)th are independent draws from all above it, so the binomial bound is exact
    for each m; ``SHARES`` values of m are tried, and the risk is divided by their number. Ties stay on the same side.

    Args:
        scores: of the first document of each query.
        relevant: whether it is.
        wanted: the precision.
        confidence: of the promise.

    Raises:
        DataError: there are no queries, or a score is not finite.
        ConfigError: ``wanted`` or ``confidence`` is not between 0 and 1.
        ShapeError: the arguments differ in length.
    """
    _check_share("wanted", wanted)
    _check_share("confidence", confidence)
    check_pairs(scores, relevant, np.zeros(len(scores), dtype=np.int64))
    if not len(scores):
        raise DataError("A threshold needs queries to be found on, it got none.")
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order].astype(np.float64)
    right = np.r_[0, np.cumsum(relevant[order])]
    limits = ordered[np.arange(1, SHARES + 1) * (len(ordered) - 1) // SHARES]
    above = np.searchsorted(-ordered, -limits)  # strictly above the limit, so fewer where there are ties
    p = binom.sf(right[above] - 1, above, wanted)
    kept = np.flatnonzero((p <= (1 - confidence) / SHARES) & (above > 0))
    if not len(kept):
        return None
    return float(limits[kept].min())


def recall_threshold(
    scores: Float[np.ndarray, " hit"],
    relevant: Bool[np.ndarray, " _relevant"],
    query: Int64[np.ndarray, " _query"],
    totals: Int64[np.ndarray, " query"],
    *,
    wanted: float,
) -> float | None:
    """The highest threshold from which on found documents hold enough of the relevant ones, or None.

    Guarantee: if these n queries and a new one are exchangeable, the expected recall of the new one, over the draw of
    all n + 1, is at least ``wanted``. It is a promise about the mean, not about each query, and not with a confidence:
    for given n queries it may be missed by chance.

    Args:
        scores: of the found documents.
        relevant: which are.
        query: the place in ``totals`` of each one's query.
        totals: how many relevant documents each query has, found or not; at least 1.
        wanted: the recall.

    Raises:
        DataError: there are no queries, one has no relevant document, or a score is not finite.
        ConfigError: ``wanted`` is not between 0 and 1.
        ShapeError: the columns differ in length.
    """
    _check_share("wanted", wanted)
    check_pairs(scores, relevant, query)
    if not len(totals):
        raise DataError("A threshold needs queries to be found on, it got none.")
    if (totals < 1).any():
        raise DataError(f"Query {int(np.argmin(totals))} has no relevant document, so it has no recall. Leave it out.")
    n = len(totals)
    found = scores[relevant].astype(np.float64)
    order = np.argsort(-found, kind="stable")
    recall = np.cumsum(1.0 / totals[query[relevant][order]]) / n
    # Of the mean loss 1 - recall, (n * loss + 1) / (n + 1) must be at most 1 - wanted.
    enough = np.flatnonzero(n * (1 - recall) + 1 <= (n + 1) * (1 - wanted) + 1e-9)
    return float(found[order][enough[0]]) if len(enough) else None


def judge_precision(
    threshold: float | None,
    scores: Float[np.ndarray, " query"],
    relevant: Bool[np.ndarray, " query"],
    *,
    wanted: float,
    confidence: float,
) -> Precision:
    """What a threshold for precision does on queries that it was not found on."""
    if threshold is None:
        return Precision(wanted=wanted, confidence=confidence, threshold=None)
    answered = scores > threshold
    count, right = int(answered.sum()), int(relevant[answered].sum())
    low, high = exact_interval(right, count, confidence)
    return Precision(
        wanted=wanted,
        confidence=confidence,
        threshold=threshold,
        answered=count / len(scores),
        reached=right / count if count else None,
        low=low,
        high=high,
    )


def judge_recall(
    threshold: float | None,
    scores: Float[np.ndarray, " hit"],
    relevant: Bool[np.ndarray, " hit"],
    query: Int64[np.ndarray, " hit"],
    totals: Int64[np.ndarray, " query"],
    *,
    wanted: float,
    possible: float,
) -> Recall:
    """What a threshold for recall does on queries that it was not found on."""
    if threshold is None:
        return Recall(wanted=wanted, possible=possible, threshold=None)
    shown = scores >= threshold
    return Recall(
        wanted=wanted,
        possible=possible,
        threshold=threshold,
        reached=mean_recall(relevant & shown, query, totals),
        shown=float(shown.sum() / len(totals)),
    )


def mean_recall(
    found: Bool[np.ndarray, " hit"], query: Int64[np.ndarray, " hit"], totals: Int64[np.ndarray, " query"]
) -> float:
    """The mean over queries of the share of relevant documents that are found."""
    counts: Float64[np.ndarray, " query"] = np.bincount(query, found.astype(np.float64), len(totals))
    return float((counts / totals).mean())


def exact_interval(right: int, of: int, confidence: float) -> tuple[float, float]:
    """The interval of a share that covers at least as often as it says (Clopper and Pearson 1934); 0 to 1 of none."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, right, of - right + 1)) if right > 0 else 0.0
    high = float(beta.ppf(1 - tail, right + 1, of - right)) if right < of else 1.0
    return low, high


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ConfigError(f"{name} must be between 0 and 1, such as 0.95, got {value}.")
