"""Multi-label classification with many labels: are the first labels right, and the rare ones too?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64

from nearfar.config.component import is_number, is_whole, require
from nearfar.data.tables import TRAIN, Qrels
from nearfar.errors import DataError
from nearfar.evaluation.tasks.knn import weights_of
from nearfar.evaluation.tasks.outcome import Outcome, Statistic, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask
from nearfar.retrieval.dense import search


@dataclass(frozen=True, kw_only=True)
class MultiLabel(VectorTask):
    """Precision of the first labels of each text, plain and with rare labels counting more.

    ``PSP@k`` weighs a right label by 1 over its propensity, the probability that an annotator thinks of it, which grows
    with its frequency in train (Jain, Prabhu and Varma 2016), and divides by the most that can be reached. Where there
    is no train, the frequencies are those of the split.

    Attributes:
        by: where the order of labels comes from: ``names``, the similarity of the text as a query and the name of a
            label as a document; or ``neighbours``, the votes of the nearest texts of train as in ``KNN``.
        cutoffs: how many labels are looked at.
        neighbours: how many texts vote.
        temperature: of their votes.
        a, b: of the propensities; those of the paper for most data.
    """

    by: str = "names"
    cutoffs: tuple[int, ...] = (1, 3, 5)
    neighbours: int = 20
    temperature: float = 0.07
    a: float = 0.55
    b: float = 1.5

    layouts = frozenset({"multilabel"})
    needs = "texts with lists of labels, such as {text, labels}"

    def __post_init__(self) -> None:
        require(self.by in ("names", "neighbours"), self, "by", "names or neighbours")
        fine = isinstance(self.cutoffs, tuple) and bool(self.cutoffs)
        fine = fine and all(is_whole(cutoff) and cutoff >= 1 for cutoff in self.cutoffs)
        require(fine, self, "cutoffs", "a list of whole numbers from 1, such as [1, 3, 5]")
        require(is_whole(self.neighbours) and self.neighbours >= 1, self, "neighbours", "a whole number from 1")
        for name in ("temperature", "a", "b"):
            value = getattr(self, name)
            require(is_number(value) and value > 0, self, name, "a number above 0")

    def measure(self, setting: Setting) -> Outcome:
        """``P@k`` and ``PSP@k`` over the texts of the split.

        Raises:
            DataError: there are fewer labels than the largest cutoff, or no train split for neighbours.
        """
        judged = setting.judged()
        rows = np.unique(judged.query).astype(np.int64)
        labels, deepest = len(setting.dataset.documents), max(self.cutoffs)
        if labels < deepest:
            raise DataError(f"{self} looks at {deepest} labels; {setting.dataset.facts.source} has {labels}.")
        found = self._by_names(setting, rows) if self.by == "names" else self._by_neighbours(setting, rows)
        train = setting.dataset.qrels.get(TRAIN, judged)
        worth = 1 / propensities(train, labels, self.a, self.b)
        right = _is_relevant(rows, found, judged, labels)
        gained = np.where(right, worth[found.clip(min=0)], 0.0)
        most = _best_gains(rows, judged, worth, deepest)
        names = [f"P@{cutoff}" for cutoff in self.cutoffs] + [f"PSP@{cutoff}" for cutoff in self.cutoffs]
        precision = np.stack([right[:, :cutoff].mean(axis=1) for cutoff in self.cutoffs], axis=1)
        gains, bests = (
            np.stack([values[:, :cutoff].sum(axis=1) for cutoff in self.cutoffs], axis=1) for values in (gained, most)
        )
        columns = {name: precision[:, place] for place, name in enumerate(names[: len(self.cutoffs)])}
        for place, cutoff in enumerate(self.cutoffs):
            columns |= {f"gain@{cutoff}": gains[:, place], f"best_gain@{cutoff}": bests[:, place]}
        return outcome(
            self,
            "text",
            setting.query_names(rows),
            names,
            _ratios(precision, gains, bests),
            columns,
            confidence=setting.confidence,
            resamples=setting.resamples,
        )

    def _by_names(self, setting: Setting, rows: Int64[np.ndarray, " text"]) -> Int64[np.ndarray, "text rank"]:
        """The labels whose names are most like each text."""
        keys = setting.dataset.documents.keys
        hits = search(
            setting.queries(rows),
            setting.documents(np.arange(len(keys))),
            max(self.cutoffs),
            similarity=setting.embedded.encoder.similarity,
            tie_order=_places_of(keys),
        )
        return hits.documents.astype(np.int64)

    def _by_neighbours(self, setting: Setting, rows: Int64[np.ndarray, " text"]) -> Int64[np.ndarray, "text rank"]:
        """The labels with the most votes of the nearest texts of train; -1 where no more have any."""
        if TRAIN not in setting.dataset.qrels:
            raise DataError(
                f"{self} takes the labels of texts of train, and {setting.dataset.facts.source} has no train split. "
                "Use by=names."
            )
        train = setting.judged(TRAIN)
        pool = np.unique(train.query)
        identity = setting.dataset.identities[0]
        place = np.full(int(identity.max()) + 1, -1, dtype=np.int64)
        place[identity[pool]] = np.arange(len(pool))
        hits = search(
            setting.queries(rows),
            setting.queries(pool),
            min(self.neighbours, len(pool)),
            tie_order=np.argsort(np.argsort(identity[pool])),
            exclude=place[identity[rows]],
        )
        weights = np.where(hits.documents >= 0, weights_of(hits.scores, self.temperature), 0.0)
        starts = np.searchsorted(train.query, pool), np.searchsorted(train.query, pool, side="right")
        found = np.full((len(rows), max(self.cutoffs)), -1, dtype=np.int64)
        ties = _places_of(setting.dataset.documents.keys).tolist()
        for row in range(len(rows)):
            votes: dict[int, float] = {}
            for neighbour, weight in zip(hits.documents[row].tolist(), weights[row].tolist(), strict=True):
                if neighbour >= 0:
                    for label in train.node[starts[0][neighbour] : starts[1][neighbour]].tolist():
                        votes[label] = votes.get(label, 0.0) + weight
            best = sorted(votes, key=lambda label: (-votes[label], ties[label]))[: max(self.cutoffs)]
            found[row, : len(best)] = best
        return found


def _places_of(keys: UInt64[np.ndarray, "label 2"]) -> Int64[np.ndarray, " label"]:
    """The place of each label among equals: by a hash of its name, as everywhere."""
    return np.argsort(np.lexsort((keys[:, 1], keys[:, 0])))


def propensities(train: Qrels, labels: int, a: float, b: float) -> Float64[np.ndarray, " label"]:
    """The probability that a label that is right was given: ``1 / (1 + C (n + b)^-a)`` for one given n times.

    ``C`` is ``(log N - 1) (b + 1)^a`` for N texts, and not below 0.
    """
    frequency = np.bincount(train.node, minlength=labels)
    c = max(np.log(len(np.unique(train.query))) - 1, 0.0) * (b + 1) ** a
    found: Float64[np.ndarray, " label"] = 1 / (1 + c * (frequency + b) ** -a)
    return found


def _is_relevant(
    rows: Int64[np.ndarray, " text"], found: Int64[np.ndarray, "text rank"], judged: Qrels, labels: int
) -> Bool[np.ndarray, "text rank"]:
    pairs = judged.query.astype(np.int64) * labels + judged.node
    return np.isin(rows[:, None] * labels + found, pairs) & (found >= 0)


def _best_gains(
    rows: Int64[np.ndarray, " text"], judged: Qrels, worth: Float64[np.ndarray, " label"], deepest: int
) -> Float64[np.ndarray, "text rank"]:
    """The gains of the best order of labels of each text, 0 beyond its last right label."""
    order = np.lexsort((-worth[judged.node], judged.query))
    row = np.searchsorted(rows, judged.query[order])
    place = np.arange(len(order)) - np.searchsorted(row, np.arange(len(rows)))[row]
    best = np.zeros((len(rows), deepest))
    inside = place < deepest
    best[row[inside], place[inside]] = worth[judged.node[order[inside]]]
    return best


def _ratios(
    precision: Float64[np.ndarray, "text cutoff"],
    gains: Float64[np.ndarray, "text cutoff"],
    bests: Float64[np.ndarray, "text cutoff"],
) -> Statistic:
    """Mean precision; summed gains over the summed best gains."""

    def statistic(counts: Float64[np.ndarray, "draw text"]) -> Float64[np.ndarray, "draw measure"]:
        means = counts @ precision / counts.sum(axis=1, keepdims=True)
        return np.concatenate([means, counts @ gains / (counts @ bests)], axis=1)

    return statistic
