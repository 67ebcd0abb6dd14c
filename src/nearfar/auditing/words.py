"""Texts as numbers of their words, for everything that compares texts by the words they share."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, Int, Int64, UInt64

from nearfar.data.tables import Texts
from nearfar.events import Silent, Sink, track
from nearfar.retrieval.tokens import Tokeniser

_STEP = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that multiplying by it loses nothing."""


@dataclass(frozen=True, eq=False)
class Words:
    """The words of some texts, in order, each as 64 bits that are the same in every data set.

    Words are what BM25 counts, without stop list and stemming: lower case, no punctuation, pairs of characters in
    scripts without spaces. Two words in 10^12 pairs would have the same number by chance.

    Attributes:
        keys: the words of all texts.
        starts: where the words of each text start in ``keys``, and where the last end.
    """

    keys: UInt64[np.ndarray, " word"]
    starts: Int64[np.ndarray, " text_plus_one"]

    @classmethod
    def of(cls, texts: Texts, sink: Sink = Silent()) -> "Words":
        """The words of every row of a table."""
        tokenise = Tokeniser(stop_words=(), stem=None)
        listed = [
            np.fromiter(map(_key, tokenise(str(text.as_py()))), dtype=np.uint64)
            for text in track(texts.texts, "words", sink, len(texts))
        ]
        return cls._joined(listed)

    @classmethod
    def joined(cls, parts: Iterable["Words"]) -> "Words":
        """The texts of several, one after another."""
        listed = list(parts)
        counts = np.concatenate([part.counts for part in listed])
        return cls(np.concatenate([part.keys for part in listed]), _starts(counts))

    @classmethod
    def _joined(cls, listed: list[np.ndarray]) -> "Words":
        counts = np.fromiter((len(keys) for keys in listed), dtype=np.int64, count=len(listed))
        return cls(np.concatenate([np.zeros(0, dtype=np.uint64), *listed]), _starts(counts))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def counts(self) -> Int64[np.ndarray, " text"]:
        """How many words each text has."""
        return np.diff(self.starts)

    @property
    def text_of(self) -> Int64[np.ndarray, " word"]:
        """The text that each word stands in."""
        return np.repeat(np.arange(len(self)), self.counts)

    def take(self, rows: Int[np.ndarray, " row"]) -> "Words":
        """The texts of ``rows``, in that order."""
        counts = self.counts[rows]
        starts = _starts(counts)
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        return Words(self.keys[np.repeat(self.starts[:-1][rows], counts) + within], starts)

    def sequences(self, length: int) -> tuple[UInt64[np.ndarray, " _place"], Int64[np.ndarray, " _place"]]:
        """Every run of ``length`` words within a text: its number, and the place of its first word in ``keys``."""
        fits: Bool[np.ndarray, " word"] = np.arange(len(self.keys)) + length <= self.starts[1:][self.text_of]
        places = np.flatnonzero(fits)
        numbers = np.zeros(len(places), dtype=np.uint64)
        for offset in range(length):
            numbers = numbers * _STEP + self.keys[places + offset]
        return numbers, places


@lru_cache(maxsize=1 << 18)
def _key(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def _starts(counts: Int64[np.ndarray, " text"]) -> Int64[np.ndarray, " text_plus_one"]:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
