"""Triplet accuracy: is the positive nearer to its anchor than the negative?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from nearfar.errors import DataError
from nearfar.evaluation.tasks.outcome import Outcome, Statistic, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask, pairwise


@dataclass(frozen=True, kw_only=True)
class Triplets(VectorTask):
    """The share of triplets whose positive scores higher than their negative. A tie is an error.

    Every positive of an anchor is compared with every negative that was judged for the same anchor. The intervals draw
    anchors, since triplets of one anchor are not independent. Scores are the model's own similarity of a query and a
    document.
    """

    layouts = frozenset({"pairs", "beir"})
    needs_relevance = True
    needs = "queries with positives and negatives, such as {anchor, positive, negative}"

    def measure(self, setting: Setting) -> Outcome:
        """``accuracy``, and the mean ``margin`` between positive and negative, by anchor.

        Raises:
            DataError: no anchor of the split has a negative.
        """
        anchors, positives, negatives = _triplets(setting)
        if not len(anchors):
            raise DataError(
                f"Triplets needs negatives, and no query of {setting.split} in {setting.dataset.facts.source} has one. "
                "Add a column named negative."
            )
        left, similarity = setting.queries(anchors), setting.embedded.encoder.similarity
        near = pairwise(left, setting.documents(positives), similarity)
        far = pairwise(left, setting.documents(negatives), similarity)
        rows, place = np.unique(anchors, return_inverse=True)
        count = np.bincount(place).astype(np.float64)
        right = np.bincount(place, weights=near > far)
        margin = np.bincount(place, weights=near - far)
        return outcome(
            self,
            "anchor",
            setting.query_names(rows),
            ("accuracy", "margin"),
            _shares(right, margin, count),
            {"right": right, "margin_sum": margin, "triplets": count},
            confidence=setting.confidence,
            resamples=setting.resamples,
            notes=[f"{len(anchors)} triplets of {len(rows)} anchors."] if len(anchors) > len(rows) else [],
        )


def _triplets(
    setting: Setting,
) -> tuple[Int64[np.ndarray, " triplet"], Int64[np.ndarray, " triplet"], Int64[np.ndarray, " triplet"]]:
    """Rows of anchors, positives and negatives: all pairs of a positive and a negative of a query."""
    judged = setting.judged()
    relevant = judged.grade >= setting.dataset.positive_from
    negative_queries, negatives = judged.query[~relevant], judged.node[~relevant]
    queries, positives = judged.query[relevant], judged.node[relevant]
    first = np.searchsorted(negative_queries, queries)
    count = np.searchsorted(negative_queries, queries, side="right") - first
    pair = np.repeat(np.arange(len(queries)), count)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    chosen = negatives[first[pair] + within]
    return queries[pair].astype(np.int64), positives[pair].astype(np.int64), chosen.astype(np.int64)


def _shares(
    right: Float64[np.ndarray, " anchor"], margin: Float64[np.ndarray, " anchor"], count: Float64[np.ndarray, " anchor"]
) -> Statistic:
    """Means over triplets."""
    sums = np.stack([right, margin], axis=1)

    def statistic(counts: Float64[np.ndarray, "draw anchor"]) -> Float64[np.ndarray, "draw measure"]:
        shares: Float64[np.ndarray, "draw measure"] = counts @ sums / (counts @ count)[:, None]
        return shares

    return statistic
