"""Clustering: do clusters of vectors agree with labels?"""

from dataclasses import dataclass

import numpy as np

from nearfar.config.component import is_whole, require
from nearfar.errors import DataError
from nearfar.evaluation.tasks.labelled import labelled
from nearfar.evaluation.tasks.outcome import Outcome, means_of, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask, unit


@dataclass(frozen=True, kw_only=True)
class Clustering(VectorTask):
    """The V-measure of mini-batch k-means on vectors of length 1, with as many clusters as there are labels.

    Each run has its own start and, where the split holds more texts than ``texts``, its own sample of them. The
    interval is over the runs: it covers the start and that sample, not the choice of the split.

    Attributes:
        runs: how many.
        texts: the most texts in a run.
        seed: decides starts and samples.
    """

    runs: int = 10
    texts: int = 2048
    seed: int = 0

    layouts = frozenset({"labels"})
    needs = "texts with one label each, such as {text, label}"

    def __post_init__(self) -> None:
        require(is_whole(self.runs) and self.runs >= 2, self, "runs", "a whole number from 2")
        require(is_whole(self.texts) and self.texts >= 2, self, "texts", "a whole number from 2")
        require(is_whole(self.seed) and self.seed >= 0, self, "seed", "a whole number from 0")

    def measure(self, setting: Setting) -> Outcome:
        """``V-measure``, ``homogeneity`` and ``completeness`` over the runs.

        Raises:
            DataError: all texts have the same label, or every text has its own.
        """
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.metrics import homogeneity_completeness_v_measure

        found = labelled(setting, setting.split)
        if len(np.unique(found.labels)) == len(found):
            raise DataError(
                f"Clustering needs labels with several texts, and each of the {len(found)} texts of {setting.split} in "
                f"{setting.dataset.facts.source} has its own."
            )
        vectors = unit(setting.queries(found.rows)).astype(np.float32)
        values = np.zeros((self.runs, 3))
        for run in range(self.runs):
            generator = np.random.default_rng([self.seed, run])
            chosen = np.sort(generator.permutation(len(found))[: self.texts])
            labels = found.labels[chosen]
            start = int(generator.integers(1 << 31))
            means = MiniBatchKMeans(len(np.unique(labels)), batch_size=512, n_init=1, random_state=start)
            clusters = means.fit_predict(vectors[chosen])
            values[run] = homogeneity_completeness_v_measure(labels, clusters)
        names = ("V-measure", "homogeneity", "completeness")
        values = values[:, [2, 0, 1]]
        return outcome(
            self,
            "run",
            [f"run {run}" for run in range(self.runs)],
            names,
            means_of(values),
            {name: values[:, place] for place, name in enumerate(names)},
            confidence=setting.confidence,
            resamples=setting.resamples,
        )
