"""What every task is, and what it is given: a data set, a split, and vectors of its texts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64, Int

from nearfar.config.component import Component
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset, Qrels, Texts
from nearfar.encoders.protocol import Encoder, Role
from nearfar.errors import ConfigError, DataError, did_you_mean
from nearfar.evaluation.tasks.outcome import Outcome
from nearfar.events import Silent, Sink


@dataclass(eq=False, kw_only=True)
class Embedded:
    """Vectors by one encoder. A text is embedded once in each role, whatever the number of tasks that need it.

    Attributes:
        encoder: what embeds.
        sink: takes progress.
    """

    encoder: Encoder
    sink: Sink = field(default_factory=Silent)
    _places: dict[Role, dict[str, int]] = field(default_factory=dict, repr=False)
    _vectors: dict[Role, Float32[np.ndarray, "text dim"]] = field(default_factory=dict, repr=False)

    def of(self, texts: Sequence[str], role: Role = Role.QUERY) -> Float32[np.ndarray, "text dim"]:
        """Vectors of texts, as the encoder gives them.

        Raises:
            DataError: a vector holds NaN or infinity.
        """
        places = self._places.setdefault(role, {})
        new = list(dict.fromkeys(text for text in texts if text not in places))
        if new:
            encode = self.encoder.encode_queries if role is Role.QUERY else self.encoder.encode_documents
            vectors = np.asarray(encode(new, self.sink), dtype=np.float32)
            _refuse_broken(vectors, new)
            known = self._vectors.get(role)
            self._vectors[role] = vectors if known is None else np.concatenate([known, vectors])
            places.update({text: len(places) + place for place, text in enumerate(new)})
        if role not in self._vectors:
            return np.zeros((0, 1), dtype=np.float32)
        return self._vectors[role][[places[text] for text in texts]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Setting:
    """What a task is run on.

    Attributes:
        dataset: the tables.
        split: what is measured.
        embedded: vectors of texts by one encoder.
        width: dimensions to cut vectors to; None for all.
        confidence: of the intervals.
        resamples: of the bootstrap.
    """

    dataset: Dataset
    split: str
    embedded: Embedded
    width: int | None = None
    confidence: float = 0.95
    resamples: int = 10_000

    def queries(self, rows: Int[np.ndarray, " row"]) -> Float32[np.ndarray, "row dim"]:
        """Vectors of rows of the query table, as queries."""
        return self._vectors(self.dataset.queries, rows, Role.QUERY)

    def documents(self, rows: Int[np.ndarray, " row"], role: Role = Role.DOCUMENT) -> Float32[np.ndarray, "row dim"]:
        """Vectors of rows of the document table; as queries where both sides are of one kind."""
        return self._vectors(self.dataset.documents, rows, role)

    def features(self, rows: Int[np.ndarray, " row"]) -> Float32[np.ndarray, "row dim"]:
        """Vectors of rows of the query table as they are compared: of length 1 where that is by cosine."""
        vectors = self.queries(rows)
        return unit(vectors).astype(np.float32) if self.embedded.encoder.similarity == "cosine" else vectors

    def judged(self, split: str | None = None) -> Qrels:
        """The judgements of a split, by default of the one that is measured.

        Raises:
            ConfigError: there is no such split.
        """
        name = self.split if split is None else split
        if name not in self.dataset.qrels:
            raise ConfigError(
                f"{self.dataset.name} has no split {name!r}.{did_you_mean(name, self.dataset.splits)} "
                f"Its splits: {', '.join(self.dataset.splits)}."
            )
        return self.dataset.qrels[name]

    def pair_cosines(self, split: str) -> Float64[np.ndarray, " pair"]:
        """The cosine of each judged pair of a split, both texts embedded as queries: they are of one kind."""
        judged = self.judged(split)
        return pairwise(self.queries(judged.query), self.documents(judged.node, Role.QUERY))

    def pair_names(self) -> list[str]:
        """The names of the judged pairs of the split: the ids of both texts."""
        judged = self.judged()
        left = self.dataset.queries.ids.take(judged.query).to_pylist()
        right = self.dataset.documents.ids.take(judged.node).to_pylist()
        return [f"{one} {other}" for one, other in zip(left, right, strict=True)]

    def query_names(self, rows: Int[np.ndarray, " row"]) -> list[str]:
        """The ids of rows of the query table."""
        return [str(name) for name in self.dataset.queries.ids.take(rows).to_pylist()]

    def _vectors(self, table: Texts, rows: Int[np.ndarray, " row"], role: Role) -> Float32[np.ndarray, "row dim"]:
        return self.embedded.of(table.take(rows), role)[:, : self.width]


class VectorTask(Component, ABC):
    """A task that is measured on vectors. A subclass is a frozen, keyword-only dataclass.

    Attributes:
        layouts: the layouts of data that it can be measured on, see ``Facts.layout``.
        needs: the same in words, for messages.
        needs_train: whether it learns from a train split.
        needs_relevance: whether it asks which pairs are relevant, so that graded data must say from which grade on.
    """

    layouts: ClassVar[frozenset[str]]
    needs: ClassVar[str]
    needs_train: ClassVar[bool] = False
    needs_relevance: ClassVar[bool] = False

    def run(self, setting: Setting) -> Outcome:
        """Measure the vectors of one encoder.

        Raises:
            DataError: the data is not what the task needs, or a vector is not finite.
        """
        facts = setting.dataset.facts
        if facts.layout not in self.layouts:
            raise DataError(
                f"{type(self).__name__} needs {self.needs}; {facts.source} holds {_in_words(facts.layout)}."
            )
        return self.measure(setting)

    @abstractmethod
    def measure(self, setting: Setting) -> Outcome:
        """Measure data of a layout that fits."""


def default_split(dataset: Dataset) -> str:
    """What is measured when nobody says: ``test`` when there is one, else ``dev``, else all, else what there is."""
    return next((name for name in (TEST, DEV, UNSPLIT) if name in dataset.qrels), dataset.splits[0])


def held_out_before(dataset: Dataset, split: str) -> str | None:
    """Where a threshold or a setting may be chosen that ``split`` is measured with: dev, else train, else nowhere."""
    return next((name for name in (DEV, TRAIN) if name in dataset.qrels and name != split), None)


def unit(vectors: Float32[np.ndarray, "text dim"]) -> Float64[np.ndarray, "text dim"]:
    """Vectors of length 1, in float64; a zero vector stays one."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled: Float64[np.ndarray, "text dim"] = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    return scaled


def pairwise(
    left: Float32[np.ndarray, "pair dim"], right: Float32[np.ndarray, "pair dim"], similarity: str = "cosine"
) -> Float64[np.ndarray, " pair"]:
    """The similarity of each row on the left and the same row on the right."""
    if similarity == "cosine":
        scores: Float64[np.ndarray, " pair"] = np.einsum("pd,pd->p", unit(left), unit(right))
    else:
        scores = np.einsum("pd,pd->p", left.astype(np.float64), right.astype(np.float64))
    return scores


def _refuse_broken(vectors: Float32[np.ndarray, "text dim"], texts: Sequence[str]) -> None:
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise DataError(
            f"The vectors of {len(wrong)} of {len(texts)} texts hold NaN or infinity, first that of "
            f"{texts[int(wrong[0])][:80]!r}. A model that diverged in training, or float16, gives such vectors."
        )


def _in_words(layout: str) -> str:
    words = {
        "scored": "pairs with grades",
        "pairs": "pairs of a query and documents",
        "labels": "texts with one label each",
        "multilabel": "texts with lists of labels",
        "beir": "queries, a corpus and judgements",
    }
    return words.get(layout, f"data of the layout {layout!r}")
