"""Bitext mining: does each text find its translation among those of all others, and the other way round?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from nearfar.config.component import is_whole, require
from nearfar.encoders.protocol import Role
from nearfar.errors import DataError
from nearfar.evaluation.tasks.outcome import Outcome, Statistic, outcome
from nearfar.evaluation.tasks.setting import Setting, VectorTask
from nearfar.retrieval.dense import search


@dataclass(frozen=True, kw_only=True)
class Bitext(VectorTask):
    """Translations found by the nearest neighbour with a margin (Artetxe and Schwenk 2019).

    The cosine of two texts is divided by the mean cosine of both to their nearest neighbours on the other side, since
    some texts are near to everything. Among its ``neighbours`` nearest, a text chooses the one with the highest margin.
    Both sides are embedded as queries: they are of one kind.

    Attributes:
        margin: ``ratio``, ``distance`` (the difference instead of the quotient) or ``none`` (the cosine alone).
        neighbours: how many give the mean.
    """

    margin: str = "ratio"
    neighbours: int = 4

    layouts = frozenset({"pairs", "beir"})
    needs_relevance = True
    needs = "pairs of texts that belong together, such as {text1, text2}"

    def __post_init__(self) -> None:
        require(self.margin in ("ratio", "distance", "none"), self, "margin", "ratio, distance or none")
        require(is_whole(self.neighbours) and self.neighbours >= 1, self, "neighbours", "a whole number from 1")

    def measure(self, setting: Setting) -> Outcome:
        """``forward`` and ``backward`` accuracy, and ``F1`` of the pairs that choose each other, over the pairs.

        Raises:
            DataError: there are fewer than two pairs.
        """
        pairs = setting.judged().at_least(setting.dataset.positive_from)
        lefts, left = np.unique(pairs.query, return_inverse=True)
        rights, right = np.unique(pairs.node, return_inverse=True)
        if min(len(lefts), len(rights)) < 2:
            raise DataError(
                f"Bitext needs at least two texts on each side; {setting.split} in {setting.dataset.facts.source} has "
                f"{len(lefts)} and {len(rights)}."
            )
        forward, backward = self._choices(setting.queries(lefts), setting.documents(rights, Role.QUERY))
        gold = np.unique(left * len(rights) + right)
        found = np.isin(np.arange(len(lefts)) * len(rights) + forward, gold)
        found_back = np.isin(backward * len(rights) + np.arange(len(rights)), gold)
        mutual = backward[forward] == np.arange(len(lefts))
        mined = np.zeros(len(pairs))
        mined[np.unique(left, return_index=True)[1]] = mutual
        hit = mutual[left] & (forward[left] == right)
        columns = {"forward": found[left], "backward": found_back[right], "mined": mined, "hit": hit}
        table = {name: values.astype(np.float64) for name, values in columns.items()}
        names = (setting.query_names(pairs.query), setting.dataset.documents.ids.take(pairs.node).to_pylist())
        return outcome(
            self,
            "pair",
            [f"{one} {other}" for one, other in zip(*names, strict=True)],
            ("forward", "backward", "F1"),
            _measures(np.stack(list(table.values()), axis=1)),
            table,
            confidence=setting.confidence,
            resamples=setting.resamples,
        )

    def _choices(
        self, left: Float32[np.ndarray, "left dim"], right: Float32[np.ndarray, "right dim"]
    ) -> tuple[Int64[np.ndarray, " left"], Int64[np.ndarray, " right"]]:
        """The text on the other side that each text chooses."""
        count = min(self.neighbours, len(left), len(right))
        there, back = search(left, right, count), search(right, left, count)
        near_left, near_right = (hits.scores.astype(np.float64).mean(axis=1) for hits in (there, back))
        chosen = []
        for hits, own, others in ((there, near_left, near_right), (back, near_right, near_left)):
            middle = (own[:, None] + others[hits.documents]) / 2
            cosines = hits.scores.astype(np.float64)
            if self.margin == "ratio":
                cosines = cosines / np.where(middle > 0, middle, np.inf)
            elif self.margin == "distance":
                cosines = cosines - middle
            best = cosines.argmax(axis=1)
            chosen.append(hits.documents[np.arange(len(best)), best].astype(np.int64))
        return chosen[0], chosen[1]


def _measures(table: Float64[np.ndarray, "pair column"]) -> Statistic:
    """Two means, and F1 from what was mined and what of it is right."""

    def statistic(counts: Float64[np.ndarray, "draw pair"]) -> Float64[np.ndarray, "draw measure"]:
        forward, backward, mined, hit = (counts @ table).T
        total = counts.sum(axis=1)
        return np.stack([forward / total, backward / total, 2 * hit / (mined + total)], axis=1)

    return statistic
