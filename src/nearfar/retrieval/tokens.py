"""Texts to words for BM25: one default that is fair to prose, to code and to scripts without spaces."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module

from nearfar.errors import ConfigError, did_you_mean

# Vowel signs and accents are no \w in `re`, so the blocks that need them are added; danda and double danda are not.
_MARKS = r"\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e00-\u109f\u1780-\u17d3"
_WORD = re.compile(rf"(?:\w|[{_MARKS}])+")
# Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han and its extensions are written without spaces between words.
_UNSPACED = re.compile(
    r"[\u0e00-\u109f\u1780-\u17d3\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def without_plural(word: str) -> str:
    """An English word without its plural ending: ``queries`` to ``query``, ``files`` to ``file``; ``class`` stays.

    Harman's S stemmer (JASIS 1991). It changes little, so other languages and identifiers survive it.
    """
    if len(word) < 4 or not word.endswith("s") or word.endswith(("us", "ss", "is")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    return word[:-1]


def snowball(language: str = "english") -> Callable[[str], str]:
    """The Snowball stemmer of a language, which needs the package PyStemmer.

    Raises:
        ConfigError: the package is missing, or it does not know the language.
    """
    try:
        stemmers = import_module("Stemmer")
    except ImportError as error:
        raise ConfigError("Snowball stemming needs the package PyStemmer. Install it: pip install PyStemmer") from error
    try:
        stem: Callable[[str], str] = stemmers.Stemmer(language).stemWord
    except KeyError as error:
        raise ConfigError(
            f"There is no Snowball stemmer for {language!r}. Known: {', '.join(stemmers.algorithms())}."
            + did_you_mean(language, stemmers.algorithms())
        ) from error
    return stem


def english_stop_words() -> frozenset[str]:
    """The 33 words that Lucene and bm25s leave out of English."""
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)


@dataclass(frozen=True, kw_only=True)
class Tokeniser:
    """Splits a text into the terms that BM25 counts.

    A text is NFKC-normalised and split at everything that is neither letter, digit, mark nor underscore. Terms are
    lower case. With ``identifiers``, one such as ``parse_httpResponse2`` gives itself and its parts ``parse http
    response 2``; parts by case are found in ASCII words only, since prose of other alphabets would fall apart. A run of
    a script without spaces gives its characters in overlapping pairs. Stop words go, then terms are stemmed.

    Parts of identifiers are off by default, so that BM25 here is what others call BM25. On code they make another
    baseline: nDCG@10 .295 to .496 on the demo's functions, .334 to .385 (with Snowball) on CoSQA.

    Attributes:
        identifiers: whether parts of identifiers are terms.
        stop_words: terms that do not count; None for the English ones, an empty sequence for none.
        stem: what makes one term of a word's forms; None for none. ``snowball("english")`` finds more than the default
            on English prose and needs a package.
    """

    identifiers: bool = False
    stop_words: Sequence[str] | None = None
    stem: Callable[[str], str] | None = without_plural

    @cached_property
    def _stopped(self) -> frozenset[str]:
        return english_stop_words() if self.stop_words is None else frozenset(self.stop_words)

    @cached_property
    def _terms(self) -> Callable[[str], tuple[str, ...]]:
        """The terms of one word. Words repeat, so answers are remembered."""
        return lru_cache(maxsize=1 << 18)(self._terms_of_word)

    def __call__(self, text: str) -> list[str]:
        """The terms of a text, in order, repeated as often as they occur."""
        if not text.isascii():
            text = unicodedata.normalize("NFKC", text)
        terms = self._terms
        return [term for word in _WORD.findall(text) for term in terms(word)]

    def _terms_of_word(self, word: str) -> tuple[str, ...]:
        found = [piece.lower() for piece in self._pieces(word)]
        kept = [term for term in found if term not in self._stopped]
        return tuple(kept if self.stem is None else map(self.stem, kept))

    def _pieces(self, word: str) -> list[str]:
        """The word with its parts, or the pairs of characters of a script without spaces."""
        if word.isascii():
            parts = _PARTS.findall(word) if self.identifiers else []
            return [word, *parts] if len(parts) > 1 else [word]
        pieces: list[str] = []
        end = 0
        for run in _UNSPACED.finditer(word):
            pieces += self._spaced(word[end : run.start()])
            characters = run.group()
            pieces += [characters[i : i + 2] for i in range(max(1, len(characters) - 1))]
            end = run.end()
        return pieces + self._spaced(word[end:])

    def _spaced(self, word: str) -> list[str]:
        """A non-empty word with its parts between underscores."""
        parts = [part for part in word.split("_") if part] if self.identifiers else []
        return [word, *parts] if len(parts) > 1 else [word] if word else []
