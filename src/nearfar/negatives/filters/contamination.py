"""Candidates that contain a query which is kept for evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from nearfar.config.component import is_whole, require
from nearfar.data.tables import TRAIN
from nearfar.negatives.candidates import Candidates, Reason
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Filter
from nearfar.retrieval.tokens import Tokeniser


@dataclass(frozen=True, kw_only=True)
class Contaminated(Filter):
    """Drops a candidate that shares a sequence of words with a query of another split (after ConTAM, 2411.03923).

    It reads which queries are in dev and test, never what is relevant to them: were the positives of test queries
    spared from being negatives, that alone would raise the scores of the test. A paraphrase is not found, nor a query
    of fewer words than the sequence.

    Attributes:
        words: length of the sequence.
    """

    words: int = 8
    reason: ClassVar[Reason] = Reason.CONTAMINATED

    def __post_init__(self) -> None:
        require(is_whole(self.words) and self.words > 1, self, "words", "a whole number above 1")

    def drops(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Rows whose text holds such a sequence."""
        terms, dataset = Tokeniser(stop_words=(), stem=None), material.dataset
        held_out = [judged.query for split, judged in dataset.qrels.items() if split != TRAIN]
        queries = material.query_texts(np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *held_out])))
        known = {span for text in queries for span in self._spans(terms(text))}
        if not known:
            return np.zeros(len(candidates), dtype=bool)
        documents = np.unique(candidates.document[candidates.kept])
        texts = material.document_texts(documents)
        shared = [any(span in known for span in self._spans(terms(text))) for text in texts]
        return np.isin(candidates.document, documents[np.array(shared, dtype=bool)])

    def _spans(self, terms: list[str]) -> Iterator[tuple[str, ...]]:
        """Every sequence of so many terms."""
        return zip(*(terms[start:] for start in range(self.words)), strict=False)
