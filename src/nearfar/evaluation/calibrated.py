"""What the scores of an evaluation are good for: order, probabilities, thresholds.

Two populations of other documents are looked at. *Hits* are the wrong documents that the search itself put first, the
ones a threshold has to keep out. *Random* ones are a sample of the corpus, the easy case.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from nearfar.evaluation.calibration import Logistic, Reliability, fit_logistic, reliability
from nearfar.evaluation.separation import Separation, separation
from nearfar.evaluation.thresholds import (
    Precision,
    Recall,
    judge_precision,
    judge_recall,
    mean_recall,
    precision_threshold,
    recall_threshold,
)

SHOWN = 10
"""Documents of a query that get a probability: what a page of results shows."""
FEWEST = 20
"""Queries below which nothing is fitted."""
PRECISIONS = (0.5, 0.8, 0.9, 0.95)
RECALLS = (0.8, 0.9, 0.95)


@dataclass(frozen=True, eq=False, kw_only=True)
class Scored:
    """Pairs of the queries of a split with their scores. Queries are numbered from 0.

    Attributes:
        split: the split.
        totals: how many relevant documents each query has in the corpus.
        hit_query, hit_rank, hit_scores, hit_relevant: what the search found; ranks from 0.
        relevant_query, relevant_scores: relevant documents, found or not, some of them where there are many.
        random_query, random_scores: documents of a sample of the corpus that are not relevant.
    """

    split: str
    totals: Int64[np.ndarray, " query"]
    hit_query: Int64[np.ndarray, " hit"]
    hit_rank: Int64[np.ndarray, " hit"]
    hit_scores: Float32[np.ndarray, " hit"]
    hit_relevant: Bool[np.ndarray, " hit"]
    relevant_query: Int64[np.ndarray, " relevant"]
    relevant_scores: Float32[np.ndarray, " relevant"]
    random_query: Int64[np.ndarray, " random"]
    random_scores: Float32[np.ndarray, " random"]

    def __len__(self) -> int:
        return len(self.totals)

    def only(self, queries: Int64[np.ndarray, " kept"], split: str) -> "Scored":
        """Some of the queries, numbered anew in the order given, under another name."""
        number = np.full(len(self), -1, dtype=np.int64)
        number[queries] = np.arange(len(queries))
        columns = {}
        for kind, names in (
            ("hit", ("rank", "scores", "relevant")),
            ("relevant", ("scores",)),
            ("random", ("scores",)),
        ):
            owner = number[getattr(self, f"{kind}_query")]
            columns[f"{kind}_query"] = owner[owner >= 0]
            columns |= {f"{kind}_{name}": getattr(self, f"{kind}_{name}")[owner >= 0] for name in names}
        return Scored(split=split, totals=self.totals[queries], **columns)


@dataclass(frozen=True, kw_only=True)
class Probability:
    """A probability fitted on some queries and judged on others, for the first ``shown`` documents of each.

    Attributes:
        fitted_on: what it was fitted on, in words.
        fitted_queries, queries: how many of each.
        shown: documents of a query that count.
        slope, intercept: of the logistic curve.
        fitted_prevalence, prevalence: the share of relevant pairs where it was fitted and where it was judged. A
            probability holds for this share only: with a deeper list, or other queries, it is another.
        equal_width, equal_mass: the calibration error in two kinds of bins.
    """

    fitted_on: str
    fitted_queries: int
    queries: int
    shown: int
    slope: float
    intercept: float
    fitted_prevalence: float
    prevalence: float
    equal_width: Reliability
    equal_mass: Reliability


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What the scores of a system are good for; what could not be said is None or empty, with a note why.

    Attributes:
        split: the queries measured.
        queries: how many.
        hits, random: relevant documents against other hits, and against random documents.
        probability: scores as probabilities.
        precision, recall: thresholds for what is wanted, found on ``fitted_on`` and judged on other queries.
        notes: sentences.
    """

    split: str
    queries: int
    hits: Separation | None = None
    random: Separation | None = None
    probability: Probability | None = None
    precision: tuple[Precision, ...] = ()
    recall: tuple[Recall, ...] = ()
    notes: tuple[str, ...] = ()


def calibrate(measured: Scored, fitted: Scored | None, *, confidence: float = 0.95, seed: int = 0) -> Calibration:
    """Order, probabilities and thresholds of one system.

    Args:
        measured: the queries that are judged.
        fitted: other queries, of the dev split, to fit on. None: half of the measured ones, drawn by the seed, and
            the other half is judged.
        confidence: of intervals and promises.
        seed: of the halves.

    Raises:
        DataError: a score is not finite.
    """
    notes: list[str] = []
    areas = {}
    for kind in ("hits", "random"):
        areas[kind] = _area(measured, kind, confidence)
        if areas[kind] is None:
            what = "a wrong document among its hits" if kind == "hits" else "a random document that is not relevant"
            notes.append(f"No query has a relevant document and {what}, so there is nothing to compare.")
    whole = measured
    if fitted is None:
        order = np.random.default_rng(seed).permutation(len(measured)).astype(np.int64)
        first, second = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
        fitted, measured = measured.only(first, f"half of {whole.split}"), measured.only(second, "the other half")
    known = Calibration(split=whole.split, queries=len(whole), hits=areas["hits"], random=areas["random"])
    if min(len(fitted), len(measured)) < FEWEST:
        notes.append(
            f"Probabilities and thresholds need {FEWEST} queries to be found on and {FEWEST} others to be judged on; "
            f"there are {len(fitted)} and {len(measured)}."
        )
        return _with(known, notes=tuple(notes))
    probability = _probability(measured, fitted)
    if probability is None:
        notes.append(f"The first {SHOWN} documents of all queries are of one kind, so no probability can be fitted.")
    precision = tuple(_precision(measured, fitted, wanted, confidence) for wanted in PRECISIONS)
    recall = tuple(_recall(measured, fitted, wanted) for wanted in RECALLS)
    return _with(known, probability=probability, precision=precision, recall=recall, notes=tuple(notes))


def _with(known: Calibration, **more: object) -> Calibration:
    return Calibration(**(vars(known) | more))


def _area(measured: Scored, kind: str, confidence: float) -> Separation | None:
    if kind == "hits":
        others = measured.hit_scores[~measured.hit_relevant], measured.hit_query[~measured.hit_relevant]
    else:
        others = measured.random_scores, measured.random_query
    if not len(np.intersect1d(others[1], measured.relevant_query)):
        return None
    return separation(
        np.concatenate([measured.relevant_scores, others[0]]),
        np.arange(len(measured.relevant_scores) + len(others[0])) < len(measured.relevant_scores),
        np.concatenate([measured.relevant_query, others[1]]),
        confidence=confidence,
    )


def _probability(measured: Scored, fitted: Scored) -> Probability | None:
    there, here = fitted.hit_rank < SHOWN, measured.hit_rank < SHOWN
    relevant, came = fitted.hit_relevant[there], measured.hit_relevant[here]
    if not len(came) or relevant.all() or not relevant.any():
        return None
    curve: Logistic = fit_logistic(fitted.hit_scores[there], relevant)
    probabilities = curve(measured.hit_scores[here])
    return Probability(
        fitted_on=fitted.split,
        fitted_queries=len(fitted),
        queries=len(measured),
        shown=SHOWN,
        slope=curve.slope,
        intercept=curve.intercept,
        fitted_prevalence=float(relevant.mean()),
        prevalence=float(came.mean()),
        equal_width=reliability(probabilities, came),
        equal_mass=reliability(probabilities, came, equal_mass=True),
    )


def _precision(measured: Scored, fitted: Scored, wanted: float, confidence: float) -> Precision:
    first, judged = fitted.hit_rank == 0, measured.hit_rank == 0
    threshold = (
        precision_threshold(fitted.hit_scores[first], fitted.hit_relevant[first], wanted=wanted, confidence=confidence)
        if first.any()
        else None
    )
    return judge_precision(
        threshold, measured.hit_scores[judged], measured.hit_relevant[judged], wanted=wanted, confidence=confidence
    )


def _recall(measured: Scored, fitted: Scored, wanted: float) -> Recall:
    threshold = recall_threshold(fitted.hit_scores, fitted.hit_relevant, fitted.hit_query, fitted.totals, wanted=wanted)
    return judge_recall(
        threshold,
        measured.hit_scores,
        measured.hit_relevant,
        measured.hit_query,
        measured.totals,
        wanted=wanted,
        possible=mean_recall(fitted.hit_relevant, fitted.hit_query, fitted.totals),
    )
