"""Linear probes: how well a linear classifier on frozen vectors does, by the number of examples it learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from nearfar.config.component import is_number, is_whole, require
from nearfar.data.tables import DEV
from nearfar.evaluation.tasks.classifiers import NaiveBayes, standardised
from nearfar.evaluation.tasks.classifiers import logistic as fit_logistic
from nearfar.evaluation.tasks.labelled import Labelled, examples_for, labelled
from nearfar.evaluation.tasks.outcome import Outcome, means_of, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask

HELD_OUT = 5
"""Without a dev split, one text of so many of each label of train chooses the strength instead."""


@dataclass(frozen=True, kw_only=True)
class Probe(VectorTask):
    """Accuracy of logistic regression and of naive Bayes with so many examples of each label.

    Naive Bayes has a diagonal variance that all labels share, so it is linear too. It needs fewer examples to reach
    its limit, and logistic regression has the better limit (Ng and Jordan 2002; Zheng et al. 2023). Features are the
    vectors, of length 1 where the model compares by cosine, standardised on the examples. The strength of the
    regression's L2 penalty is what is best on dev, or on a fifth of train, held out, where there is no dev. It is
    chosen anew for each number of examples.

    The intervals draw texts and, as far as ``draws`` shows it, the choice of examples.

    Attributes:
        examples: of each label; ``all`` for all of train. A label with fewer gives what it has.
        draws: choices of examples that are averaged. The examples of a larger number hold those of a smaller one.
        strengths: values of the regression's C that are tried.
        seed: decides the choices.
    """

    examples: tuple[int | str, ...] = (1, 2, 5, 10, 50, "all")
    draws: int = 3
    strengths: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)
    seed: int = 0

    layouts = frozenset({"labels"})
    needs = "texts with one label each, such as {text, label}"
    needs_train = True

    def __post_init__(self) -> None:
        fine = isinstance(self.examples, tuple) and bool(self.examples)
        fine = fine and all(count == "all" or (is_whole(count) and count >= 1) for count in self.examples)
        require(fine, self, "examples", "a list of whole numbers from 1, or all, such as [1, 10, all]")
        require(is_whole(self.draws) and self.draws >= 1, self, "draws", "a whole number from 1")
        require(is_whole(self.seed) and self.seed >= 0, self, "seed", "a whole number from 0")
        fine = isinstance(self.strengths, tuple) and bool(self.strengths)
        fine = fine and all(is_number(strength) and strength > 0 for strength in self.strengths)
        require(fine, self, "strengths", "a list of numbers above 0, such as [0.01, 1]")

    def measure(self, setting: Setting) -> Outcome:
        """``logistic@n`` and ``bayes@n`` for each number of examples, over the texts of the split.

        Raises:
            DataError: there is no train split, or one label only.
        """
        pool, dev = self._pools(setting)
        texts = labelled(setting, setting.split)
        largest = int(np.bincount(pool.labels).max())
        counts, notes = _reachable(self.examples, largest)
        correct = np.zeros((len(texts), 2, len(counts), self.draws))
        for place, count in enumerate(counts):
            strength = None
            for draw in range(self.draws):
                if count == "all" and draw:  # the same examples again
                    correct[:, :, place, draw] = correct[:, :, place, 0]
                    continue
                chosen = pool if count == "all" else pool.at(first_of_each(pool.labels, int(count), [self.seed, draw]))
                results, strength = self._fit(setting, chosen, dev, texts, strength)
                correct[:, :, place, draw] = results
        names = tuple(f"{kind}@{count}" for kind in ("logistic", "bayes") for count in counts)
        flat = correct.reshape(len(texts), len(names), self.draws)
        return outcome(
            self,
            "text",
            setting.query_names(texts.rows),
            names,
            means_of(flat.reshape(len(texts), -1)),
            {name: flat[:, place].mean(axis=1) for place, name in enumerate(names)},
            confidence=setting.confidence,
            resamples=setting.resamples,
            draws=self.draws,
            notes=notes,
        )

    def _pools(self, setting: Setting) -> tuple[Labelled, Labelled]:
        """What examples are drawn from, and what chooses the strength."""
        pool = examples_for(setting)
        if DEV in setting.dataset.qrels and setting.split != DEV:
            return pool, labelled(setting, DEV)
        sizes = np.bincount(pool.labels)
        rank = rank_within(pool.labels, [self.seed, self.draws])
        held = rank < sizes[pool.labels] // HELD_OUT
        return (pool.at(~held), pool.at(held)) if held.any() else (pool, pool)

    def _fit(
        self, setting: Setting, chosen: Labelled, dev: Labelled, texts: Labelled, strength: float | None
    ) -> tuple[Bool[np.ndarray, "text classifier"], float]:
        """Which texts both classifiers got right; the strength is chosen on dev where it is None."""
        scale = standardised(setting.features(chosen.rows))
        train, test = scale(setting.features(chosen.rows)), scale(setting.features(texts.rows))
        strengths = self.strengths if strength is None else (strength,)
        predict, used = fit_logistic(train, chosen.labels, scale(setting.features(dev.rows)), dev.labels, strengths)
        bayes = NaiveBayes.fit(train, chosen.labels)
        return np.stack([predict(test) == texts.labels, bayes.predict(test) == texts.labels], axis=1), used


def rank_within(labels: Int64[np.ndarray, " text"], seed: Sequence[int]) -> Int64[np.ndarray, " text"]:
    """The place of each text among those of its label, in a random order."""
    order = np.random.default_rng(list(seed)).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    starts = np.searchsorted(labels[order], labels[order])
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - starts
    return rank


def first_of_each(labels: Int64[np.ndarray, " text"], count: int, seed: Sequence[int]) -> Bool[np.ndarray, " text"]:
    """``count`` texts of each label, or all where it has fewer, by a random order that the seed decides."""
    chosen: Bool[np.ndarray, " text"] = rank_within(labels, seed) < count
    return chosen


def _reachable(examples: Sequence[int | str], largest: int) -> tuple[list[int | str], list[str]]:
    """The numbers of examples that train has, and a note on the others."""
    counts = [count for count in examples if count == "all" or int(count) <= largest]
    dropped = [str(count) for count in examples if count not in counts]
    if not counts:
        counts = ["all"]
    note = f"Left out: {', '.join(dropped)} examples of each label. No label of train has more than {largest}."
    return counts, [note] if dropped else []
