"""What mteb says about single queries, pairs and texts, as columns of values and the measure over them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from nearfar.evaluation.tasks.outcome import Statistic, means_of
from nearfar.evaluation.tasks.pair_classification import average_precision
from nearfar.evaluation.tasks.sts import correlations

_QUERY_SCORES = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P", "hit_rate": "success"}
"""What the measures of mteb are called in its values of single queries."""
_CUT = re.compile(r"(\w+)_at_(\d+)")
_CORRELATIONS = ("spearman", "pearson")
_RANKINGS = {
    "similarity": ("similarity_scores", 1),
    "cosine": ("cosine_scores", 1),
    "dot": ("dot_scores", 1),
    "manhattan": ("manhattan_distances", -1),
    "euclidean": ("euclidean_distances", -1),
}
"""How mteb ranks pairs, where it predicts the numbers, and their sign."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Items:
    """The items of one split of one subset.

    Attributes:
        unit: what they are.
        names: of each.
        columns: values of each.
        statistic: from how often each counts to the one measure.
    """

    unit: str
    names: Sequence[str]
    columns: Mapping[str, Float64[np.ndarray, " item"]]
    statistic: Statistic

    @property
    def value(self) -> float:
        """The measure, where each counts once."""
        return float(self.statistic(np.ones((1, len(self.names))))[0, 0])


def items_of(
    measure: str, scores: Mapping[str, Any], queries: Mapping[str, Any] | None, predictions: Any, rows: Any
) -> Items | None:
    """The items that the measure of a split and subset is over, None where mteb does not give their values.

    Args:
        measure: the main score of the task, as mteb calls it.
        scores: what mteb found.
        queries: by id, what mteb found for each query.
        predictions: what mteb predicted.
        rows: the rows of the data.
    """
    if queries is not None:
        return _of_queries(measure, queries)
    if isinstance(predictions, dict) and "cosine_scores" in predictions:
        return _of_pairs(measure, {name: values for name, values in predictions.items() if values is not None}, rows)
    if measure == "accuracy" and predictions and "scores_per_experiment" in scores:
        found = _of_texts(predictions, rows)
        if found is not None:
            return found
    return _of_runs(measure, scores)


def _of_queries(measure: str, queries: Mapping[str, Any]) -> Items | None:
    matched = _CUT.fullmatch("recall_at_1" if measure == "accuracy" else measure)
    name = f"{_QUERY_SCORES.get(matched[1])}_{matched[2]}" if matched else ""
    if not queries or not all(name in found for found in queries.values()):
        return None
    return _means("query", list(queries), measure, [found[name] for found in queries.values()])


def _of_pairs(measure: str, predictions: Mapping[str, Any], rows: Any) -> Items | None:
    """Pairs with a grade (STS), or with a label of 0 or 1."""
    scores = {name: np.array(values, dtype=np.float64) for name, values in predictions.items()}
    kind, _, name = measure.rpartition("_")
    cosine = scores["cosine_scores"]
    used = {"": scores.get("similarity_scores", cosine), "cosine": cosine}
    given = _column(rows, "score")
    if name in _CORRELATIONS and kind in used and given is not None:
        grades = np.array(given, dtype=np.float64)
        both = correlations(used[kind], grades)
        place = _CORRELATIONS.index(name)
        return _pairs({"cosine": cosine, "grade": grades}, lambda counts: both(counts)[:, place : place + 1])
    labels = _column(rows, "labels", "label")
    chosen = _RANKINGS if kind == "max" else {kind: _RANKINGS[kind]} if kind in _RANKINGS else {}
    if name != "ap" or not chosen or labels is None or len(labels) != len(cosine):
        return None
    same = np.array(labels) == 1
    each = [average_precision(sign * scores[values], same) for values, sign in chosen.values() if values in scores]

    def best(counts: Float64[np.ndarray, "draw item"]) -> Float64[np.ndarray, "draw measure"]:
        highest: Float64[np.ndarray, "draw measure"] = np.column_stack([one(counts) for one in each]).max(
            axis=1, keepdims=True
        )
        return highest

    return _pairs({"cosine": cosine, "same": same.astype(np.float64)}, best)


def _pairs(columns: Mapping[str, Float64[np.ndarray, " item"]], statistic: Statistic) -> Items:
    names = [str(place) for place in range(len(columns["cosine"]))]
    return Items(unit="pair", names=names, columns=columns, statistic=statistic)


def _of_texts(predictions: Sequence[Any], rows: Any) -> Items | None:
    """How often each text was put into its class, of the classifiers that mteb trains."""
    labels = _column(rows, "label", "labels")
    if labels is None or any(len(each) != len(labels) for each in predictions):
        return None
    right = np.mean([np.array(each) == np.array(labels) for each in predictions], axis=0)
    return _means("text", [str(place) for place in range(len(labels))], "accuracy", right)


def _of_runs(measure: str, scores: Mapping[str, Any]) -> Items | None:
    """Repetitions: trainings of a classifier, or clusterings."""
    values = None
    if "scores_per_experiment" in scores:
        values = [each.get(measure) for each in scores["scores_per_experiment"]]
    elif measure == "v_measure" and "v_measures" in scores:
        levels = scores["v_measures"]
        values = np.mean(list(levels.values()), axis=0).tolist() if isinstance(levels, dict) else levels
    if not values or None in values:
        return None
    return _means("run", [str(place) for place in range(len(values))], measure, values)


def _column(rows: Any, *names: str) -> list[Any] | None:
    """The first of these columns that the rows have."""
    return next((list(rows[name]) for name in names if name in getattr(rows, "column_names", ())), None)


def _means(unit: str, names: Sequence[str], measure: str, values: Any) -> Items:
    column = np.array(values, dtype=np.float64)
    return Items(unit=unit, names=names, columns={measure: column}, statistic=means_of(column[:, None]))
