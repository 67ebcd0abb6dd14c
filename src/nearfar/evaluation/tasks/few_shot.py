"""Few-shot episodes: with a few examples of a few labels, are texts told apart, and strangers known as such?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from nearfar.config.component import is_whole, require
from nearfar.errors import ConfigError, DataError, did_you_mean
from nearfar.evaluation.tasks.labelled import Labelled, labelled
from nearfar.evaluation.tasks.outcome import Outcome, means_of, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask, unit


@dataclass(frozen=True, kw_only=True)
class FewShot(VectorTask):
    """Episodes of ``ways`` labels with ``shots`` examples each, classified by the nearest prototype.

    A prototype is the mean of the unit vectors of its examples (Snell et al. 2017), compared by cosine. Episodes depend
    on the data and the seed only, so that all models meet the same ones.

    ``rejection`` is the area under the ROC curve of the highest cosine to a prototype: the probability that a text of
    one of the labels scores higher than a stranger. Strangers are texts with the label ``out_of_scope``, which then is
    no label of an episode, or else texts of the labels that an episode does not have.

    Attributes:
        ways: labels of an episode.
        shots: examples of each.
        queries: texts to classify of each.
        episodes: how many.
        out_of_scope: the label of texts that belong to none.
        seed: decides the episodes.
    """

    ways: int = 5
    shots: int = 5
    queries: int = 15
    episodes: int = 600
    out_of_scope: str | None = None
    seed: int = 0

    layouts = frozenset({"labels"})
    needs = "texts with one label each, such as {text, label}"

    def __post_init__(self) -> None:
        require(is_whole(self.ways) and self.ways >= 2, self, "ways", "a whole number from 2")
        for name in ("shots", "queries", "episodes"):
            value = getattr(self, name)
            require(is_whole(value) and value >= 1, self, name, "a whole number from 1")
        named = self.out_of_scope is None or isinstance(self.out_of_scope, str)
        require(named, self, "out_of_scope", "the name of a label, or none")
        require(is_whole(self.seed) and self.seed >= 0, self, "seed", "a whole number from 0")

    def measure(self, setting: Setting) -> Outcome:
        """``accuracy`` and, where there are strangers, ``rejection``, over the episodes.

        Raises:
            DataError: fewer than ``ways`` labels have ``shots + queries`` texts, or no text is out of scope.
            ConfigError: no label is called ``out_of_scope``.
        """
        found = labelled(setting, setting.split)
        strangers = self._strangers(setting, found)
        members, notes = self._members(setting, found, strangers)
        open_set = self.out_of_scope is not None or len(np.unique(found.labels)) > self.ways
        vectors = unit(setting.queries(found.rows))
        values = np.zeros((self.episodes, 2 if open_set else 1))
        for episode in range(self.episodes):
            generator = np.random.default_rng([self.seed, episode])
            labels = generator.choice(len(members), self.ways, replace=False)
            drawn = np.stack([generator.permutation(members[label])[: self.shots + self.queries] for label in labels])
            prototypes = unit(vectors[drawn[:, : self.shots]].mean(axis=1).astype(np.float32))
            cosines = vectors[drawn[:, self.shots :].reshape(-1)] @ prototypes.T
            values[episode, 0] = (cosines.argmax(axis=1) == np.repeat(np.arange(self.ways), self.queries)).mean()
            if open_set:
                outside = strangers
                if self.out_of_scope is None:
                    inside = found.labels[drawn[:, 0]]
                    outside = np.flatnonzero(~np.isin(found.labels, inside))
                unknown = vectors[generator.permutation(outside)[: self.ways * self.queries]] @ prototypes.T
                values[episode, 1] = area_under_curve(cosines.max(axis=1), unknown.max(axis=1))
        names = ("accuracy", "rejection")[: values.shape[1]]
        return outcome(
            self,
            "episode",
            [f"episode {episode}" for episode in range(self.episodes)],
            names,
            means_of(values),
            {name: values[:, place] for place, name in enumerate(names)},
            confidence=setting.confidence,
            resamples=setting.resamples,
            notes=notes,
        )

    def _strangers(self, setting: Setting, found: Labelled) -> Int64[np.ndarray, " stranger"]:
        """Places of the texts that are out of scope."""
        if self.out_of_scope is None:
            return np.zeros(0, dtype=np.int64)
        names = setting.dataset.labels or ()
        if self.out_of_scope not in names:
            raise ConfigError(
                f"FewShot: no label is called {self.out_of_scope!r}.{did_you_mean(self.out_of_scope, names)}"
            )
        strangers = np.flatnonzero(found.labels == names.index(self.out_of_scope)).astype(np.int64)
        if not len(strangers):
            raise DataError(
                f"FewShot: no text of {setting.split} in {setting.dataset.facts.source} has the label "
                f"{self.out_of_scope!r}. Labelled data keeps the texts of a label only where train has some of it too."
            )
        return strangers

    def _members(
        self, setting: Setting, found: Labelled, strangers: Int64[np.ndarray, " stranger"]
    ) -> tuple[list[Int64[np.ndarray, " member"]], list[str]]:
        """Places of the texts of each label that has enough of them, and a note on those that have not."""
        known = np.setdiff1d(np.arange(len(found)), strangers)
        groups = [known[found.labels[known] == label] for label in np.unique(found.labels[known])]
        needed = self.shots + self.queries
        members = [group for group in groups if len(group) >= needed]
        if len(members) < self.ways:
            largest = max((len(group) for group in groups), default=0)
            raise DataError(
                f"{self}: an episode needs {self.ways} labels with {needed} texts each ({self.shots} examples and "
                f"{self.queries} to classify). {setting.split} in {setting.dataset.facts.source} has {len(members)} "
                f"such labels of {len(groups)}; the largest has {largest} texts. Lower ways, shots or queries."
            )
        left_out = len(groups) - len(members)
        return members, [f"{left_out} labels were left out: they have fewer than {needed} texts."] if left_out else []


def area_under_curve(known: Float64[np.ndarray, " known"], unknown: Float64[np.ndarray, " unknown"]) -> float:
    """The probability that a known one scores higher than an unknown one; a tie counts one half."""
    ordered = np.sort(unknown)
    below, upto = np.searchsorted(ordered, known), np.searchsorted(ordered, known, side="right")
    return float((below + upto).mean() / (2 * len(unknown)))
