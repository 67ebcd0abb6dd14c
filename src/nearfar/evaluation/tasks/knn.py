"""Classification by nearest neighbours: do the texts around a text have its label?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from nearfar.config.component import is_number, is_whole, require
from nearfar.data.tables import TRAIN
from nearfar.evaluation.tasks.labelled import Labelled, labelled
from nearfar.evaluation.tasks.outcome import Outcome, means_of, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask
from nearfar.retrieval.dense import search
from nearfar.types import Hits


@dataclass(frozen=True, kw_only=True)
class KNN(VectorTask):
    """The share of texts whose label wins the vote of their nearest texts of train, by cosine.

    A neighbour of cosine s has ``exp(s / temperature)`` votes (Wu et al. 2018). The text itself has none, wherever it
    stands. Without a train split, or where train is measured, the neighbours are the other texts of the split.

    Attributes:
        neighbours: how many vote, each a measure ``accuracy@k``.
        temperature: the smaller, the more the nearest decide.
    """

    neighbours: tuple[int, ...] = (1, 5, 20)
    temperature: float = 0.07

    layouts = frozenset({"labels"})
    needs = "texts with one label each, such as {text, label}"

    def __post_init__(self) -> None:
        fine = isinstance(self.neighbours, tuple) and bool(self.neighbours)
        fine = fine and all(is_whole(count) and count >= 1 for count in self.neighbours)
        require(fine, self, "neighbours", "a list of whole numbers from 1, such as [1, 5, 20]")
        require(is_number(self.temperature) and self.temperature > 0, self, "temperature", "a number above 0")

    def measure(self, setting: Setting) -> Outcome:
        """``accuracy@k`` for each number of neighbours, over the texts of the split.

        Raises:
            DataError: all texts have the same label.
        """
        texts = labelled(setting, setting.split)
        pool = labelled(setting, TRAIN) if TRAIN in setting.dataset.qrels else texts
        identity = setting.dataset.identities[0]
        hits = search(
            setting.queries(texts.rows),
            setting.queries(pool.rows),
            min(max(self.neighbours), len(pool)),
            tie_order=np.argsort(np.argsort(identity[pool.rows])),
            exclude=_own(identity, texts, pool),
        )
        names = tuple(f"accuracy@{count}" for count in self.neighbours)
        values = np.stack(
            [vote(hits, pool.labels, count, self.temperature) == texts.labels for count in self.neighbours], axis=1
        ).astype(np.float64)
        return outcome(
            self,
            "text",
            setting.query_names(texts.rows),
            names,
            means_of(values),
            {name: values[:, place] for place, name in enumerate(names)},
            confidence=setting.confidence,
            resamples=setting.resamples,
        )


def vote(hits: Hits, labels: Int64[np.ndarray, " pool"], neighbours: int, temperature: float) -> np.ndarray:
    """The label with the most votes for each text; of several, the one with the lowest number.

    Where fewer neighbours were found, those vote; -1 where there is none.
    """
    found = hits.documents[:, :neighbours]
    votes = np.where(found >= 0, weights_of(hits.scores[:, :neighbours], temperature), 0.0)
    total = np.zeros((len(found), int(labels.max()) + 1))
    np.add.at(total, (np.arange(len(found))[:, None], labels[found.clip(min=0)]), votes)
    return np.where((found >= 0).any(axis=1), total.argmax(axis=1), -1)


def weights_of(scores: Float32[np.ndarray, "text rank"], temperature: float) -> Float64[np.ndarray, "text rank"]:
    """``exp(s / temperature)`` up to a factor for each text, so that the first has weight 1."""
    wide = scores.astype(np.float64)
    first = np.where(np.isfinite(wide[:, :1]), wide[:, :1], 0.0)
    weights: Float64[np.ndarray, "text rank"] = np.exp((wide - first) / temperature)
    return weights


def _own(identity: np.ndarray, texts: Labelled, pool: Labelled) -> Int64[np.ndarray, " text"]:
    """The place in the pool of each text itself, -1 where it is not there."""
    place = np.full(int(identity.max()) + 1, -1, dtype=np.int64)
    place[identity[pool.rows]] = np.arange(len(pool))
    own: Int64[np.ndarray, " text"] = place[identity[texts.rows]]
    return own
