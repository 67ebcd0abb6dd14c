"""Pair classification: does similarity tell pairs that belong together from those that do not?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from nearfar.config.component import is_whole, require
from nearfar.errors import DataError
from nearfar.evaluation.tasks.outcome import Outcome, Statistic, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask, held_out_before


@dataclass(frozen=True, kw_only=True)
class PairClassification(VectorTask):
    """Average precision of the cosine, and F1 and accuracy at thresholds that were not chosen on what they judge.

    The thresholds are those that are best on dev, or on train where there is no dev. Data that has neither is cut into
    two halves, and each is judged with the thresholds of the other. Both texts are embedded as queries.

    Attributes:
        seed: decides the halves.
    """

    seed: int = 0

    layouts = frozenset({"scored"})
    needs = "pairs with a label of 0 or 1, such as {sentence1, sentence2, label}"

    def __post_init__(self) -> None:
        require(is_whole(self.seed) and self.seed >= 0, self, "seed", "a whole number from 0")

    def measure(self, setting: Setting) -> Outcome:
        """``AP``, ``F1`` and ``accuracy`` over the pairs of the split.

        Raises:
            DataError: the grades are not 0 and 1, or there is only one of the two.
        """
        same = self._labels(setting, setting.split)
        cosines = setting.pair_cosines(setting.split)
        cuts, note = self._thresholds(setting, cosines, same)
        called = {name: cosines >= cut for name, cut in cuts.items()}
        correct = (called["accuracy"] == same).astype(np.float64)
        return outcome(
            self,
            "pair",
            setting.pair_names(),
            ("AP", "F1", "accuracy"),
            _measures(cosines, same, called["F1"], correct),
            {"cosine": cosines, "same": same.astype(np.float64), "accuracy": correct},
            confidence=setting.confidence,
            resamples=setting.resamples,
            notes=[note],
        )

    def _labels(self, setting: Setting, split: str) -> Bool[np.ndarray, " pair"]:
        """Which pairs belong together."""
        grades = np.unique(setting.judged(split).grade)
        source = setting.dataset.facts.source
        if not np.isin(grades, (0, 1)).all():
            shown = f"from {grades.min():g} to {grades.max():g}"
            raise DataError(
                f"PairClassification needs pairs with grades of 0 and 1, those of {split} in {source} go {shown}. "
                "Use STS for graded pairs."
            )
        if len(grades) < 2:
            raise DataError(
                f"PairClassification needs pairs of both classes, and all of {split} in {source} have the grade "
                f"{grades[0]:g}."
            )
        same: Bool[np.ndarray, " pair"] = setting.judged(split).grade == 1
        return same

    def _thresholds(
        self, setting: Setting, cosines: Float64[np.ndarray, " pair"], same: Bool[np.ndarray, " pair"]
    ) -> tuple[dict[str, Float64[np.ndarray, " pair"]], str]:
        """For each measure the threshold of each pair, and a sentence that says where they are from."""
        other = held_out_before(setting.dataset, setting.split)
        if other is not None:
            best = best_thresholds(setting.pair_cosines(other), self._labels(setting, other))
            shown = " and ".join(f"{cut:.4f} ({name})" for name, cut in best.items())
            return (
                {name: np.full(len(cosines), cut) for name, cut in best.items()},
                f"Thresholds were chosen on {other}: {shown}.",
            )
        half = np.zeros(len(cosines), dtype=np.bool_)
        generator = np.random.default_rng(self.seed)
        for members in (np.flatnonzero(same), np.flatnonzero(~same)):
            half[generator.permutation(members)[: len(members) // 2]] = True
        if not 0 < same[half].sum() < half.sum():
            raise DataError(
                f"{setting.dataset.facts.source}: thresholds need pairs of both classes beside those that are judged; "
                f"{setting.split} has {int(same.sum())} of one and {int((~same).sum())} of the other, and there is no "
                "dev or train. Add a dev split."
            )
        cuts = {name: np.empty(len(cosines)) for name in ("F1", "accuracy")}
        for part in (half, ~half):
            for name, cut in best_thresholds(cosines[~part], same[~part]).items():
                cuts[name][part] = cut
        return cuts, "There is no dev or train: each half was judged with the thresholds that are best on the other."


def best_thresholds(scores: Float64[np.ndarray, " pair"], same: Bool[np.ndarray, " pair"]) -> dict[str, float]:
    """The thresholds with the best ``F1`` and the best ``accuracy``, half-way between two neighbouring scores.

    Of several that are equally good, the highest. A pair belongs together where its score reaches the threshold.
    """
    order = np.argsort(-scores, kind="stable")
    sorted_scores = scores[order]
    last = np.append(np.flatnonzero(np.diff(sorted_scores)), len(scores) - 1)
    hits = np.cumsum(same[order])[last]
    called = last + 1
    total = int(same.sum())
    f1 = 2 * hits / (called + total)
    correct = hits + (len(scores) - total) - (called - hits)
    lower = np.append(sorted_scores[last[:-1] + 1], -np.inf)
    cuts = np.where(np.isfinite(lower), (sorted_scores[last] + lower) / 2, -np.inf)
    best_accuracy = int(correct.argmax())
    none = len(scores) - total  # correct where no pair is called one that belongs together
    accuracy = np.inf if none > correct[best_accuracy] else cuts[best_accuracy]
    return {"F1": float(cuts[int(f1.argmax())]), "accuracy": float(accuracy)}


def average_precision(scores: Float64[np.ndarray, " pair"], same: Bool[np.ndarray, " pair"]) -> Statistic:
    """The average precision of a ranking by scores; equal scores are taken together, as scikit-learn does."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    positive = same[order].astype(np.float64)

    def statistic(counts: Float64[np.ndarray, "draw pair"]) -> Float64[np.ndarray, "draw measure"]:
        sorted_counts = counts[:, order]
        hits = np.cumsum(sorted_counts * positive, axis=1)[:, last]
        found = np.cumsum(sorted_counts, axis=1)[:, last]
        gained = np.diff(hits, axis=1, prepend=0)
        relevant = np.maximum(hits[:, -1:], 1)
        precision: Float64[np.ndarray, "draw measure"] = (gained * hits / np.maximum(found, 1)).sum(
            axis=1, keepdims=True
        ) / relevant
        return precision

    return statistic


def _measures(
    scores: Float64[np.ndarray, " pair"],
    same: Bool[np.ndarray, " pair"],
    called: Bool[np.ndarray, " pair"],
    correct: Float64[np.ndarray, " pair"],
) -> Statistic:
    """Average precision, F1 and accuracy."""
    precision = average_precision(scores, same)
    table = np.stack([same & called, called, same, correct], axis=1).astype(np.float64)

    def statistic(counts: Float64[np.ndarray, "draw pair"]) -> Float64[np.ndarray, "draw measure"]:
        both, claimed, true, right = (counts @ table).T
        f1 = 2 * both / np.maximum(claimed + true, 1)
        return np.column_stack([precision(counts), f1, right / counts.sum(axis=1)])

    return statistic
