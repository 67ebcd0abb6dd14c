"""Semantic textual similarity: does the similarity of two texts follow the grade that people gave them?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from nearfar.errors import DataError
from nearfar.evaluation.tasks.outcome import Outcome, Statistic, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask


@dataclass(frozen=True, kw_only=True)
class STS(VectorTask):
    """Rank and linear correlation of the cosine of two texts with their grade.

    Both texts are embedded as queries: they are of one kind. Pairs that the data repeats count once. The correlations
    are 0 where all cosines are equal.
    """

    layouts = frozenset({"scored"})
    needs = "pairs with grades, such as {sentence1, sentence2, score}"

    def measure(self, setting: Setting) -> Outcome:
        """Spearman's and Pearson's correlation over the pairs of the split.

        Raises:
            DataError: there are not more than two different grades.
        """
        grades = setting.judged().grade.astype(np.float64)
        distinct = np.unique(grades)
        if len(distinct) <= 2:
            shown = " and ".join(f"{grade:g}" for grade in distinct)
            raise DataError(
                f"STS needs graded pairs, and those of {setting.split} in {setting.dataset.facts.source} have "
                f"no grades but {shown}. Use PairClassification for grades of 0 and 1."
            )
        cosines = setting.pair_cosines(setting.split)
        notes = ["All cosines are equal: the model does not tell texts apart."] if np.ptp(cosines) < 1e-9 else []
        return outcome(
            self,
            "pair",
            setting.pair_names(),
            ("Spearman", "Pearson"),
            correlations(cosines, grades),
            {"cosine": cosines, "grade": grades},
            confidence=setting.confidence,
            resamples=setting.resamples,
            notes=notes,
        )


def correlations(left: Float64[np.ndarray, " item"], right: Float64[np.ndarray, " item"]) -> Statistic:
    """Spearman's (with midranks for ties) and Pearson's correlation, 0 where one side does not vary."""
    centred = left - left.mean(), right - right.mean()
    ranks = _Midranks(left), _Midranks(right)

    def statistic(counts: Float64[np.ndarray, "draw item"]) -> Float64[np.ndarray, "draw measure"]:
        by_rank = _pearson(ranks[0].of(counts), ranks[1].of(counts), counts)
        whole = [np.broadcast_to(values, counts.shape) for values in centred]
        return np.stack([by_rank, _pearson(whole[0], whole[1], counts)], axis=1)

    return statistic


class _Midranks:
    """The ranks that values have when each counts so many times."""

    def __init__(self, values: Float64[np.ndarray, " item"]) -> None:
        self.order = np.argsort(values, kind="stable")
        distinct, self.group = np.unique(values, return_inverse=True)
        self.last = np.searchsorted(values[self.order], distinct, side="right") - 1

    def of(self, counts: Float64[np.ndarray, "draw item"]) -> Float64[np.ndarray, "draw item"]:
        """Midranks of the items, from 1."""
        ends = np.cumsum(counts[:, self.order], axis=1)[:, self.last]
        starts = np.concatenate([np.zeros((len(counts), 1)), ends[:, :-1]], axis=1)
        ranks: Float64[np.ndarray, "draw item"] = ((starts + ends + 1) / 2)[:, self.group]
        return ranks


def _pearson(
    left: Float64[np.ndarray, "draw item"],
    right: Float64[np.ndarray, "draw item"],
    counts: Float64[np.ndarray, "draw item"],
) -> Float64[np.ndarray, " draw"]:
    total = counts.sum(axis=1, keepdims=True)
    first = left - np.einsum("di,di->d", left, counts)[:, None] / total
    second = right - np.einsum("di,di->d", right, counts)[:, None] / total
    weighted = first * counts
    product = np.einsum("di,di->d", weighted, second)
    spread = np.einsum("di,di->d", weighted, first), np.einsum("di,di->d", second * counts, second)
    scale = np.sqrt(spread[0] * spread[1])
    correlation: Float64[np.ndarray, " draw"] = np.divide(
        product, scale, out=np.zeros_like(product), where=(spread[0] > 1e-18) & (spread[1] > 1e-18)
    )
    return correlation
