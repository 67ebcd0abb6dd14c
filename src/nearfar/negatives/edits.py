"""Hard negatives by rule, without a model: a positive of the query with one thing changed that makes it say another.

Numbers and names are found in any language that marks them as English does; negation is English.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nearfar.config.component import require
from nearfar.data.identity import text_key
from nearfar.errors import ConfigError, did_you_mean
from nearfar.events import Silent, Sink
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Proposed, Source
from nearfar.negatives.written import Written, pairs_to_write_for, taken

Item = TypeVar("Item")

KINDS = ("number", "negation", "name")

_NUMBER = re.compile(r"(?<![\w.])[0-9]{1,15}(?!\w)")
_NEGATED = re.compile(r"\b(is|are|was|were|can|could|will|would|should|must|may|does|do|did|has|have|had) not\b", re.I)
_VERB = re.compile(r"\b(is|are|was|were|can|could|will|would|should|must|may|does|did|has|have|had)\b(?! not\b)", re.I)
# An identifier has an underscore, a dot or a capital inside; a name has a capital and does not begin a sentence.
_IDENTIFIER = re.compile(r"\b(?:[A-Za-z]\w+[._][A-Za-z]\w+|[a-z]+[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*)\b")
_NAME = re.compile(r"(?<=[a-z0-9,;:(] )[A-Z][A-Za-z]+\b")
_SAMPLE = 2000
"""So many documents of the corpus are read for names."""
_TRIES = 20
"""So many names are drawn before a text is left as it is."""


@dataclass(frozen=True, kw_only=True)
class Edits(Source):
    """Positives of a query with a number, a negation or a name changed: one text for each kind that a positive allows.

    What is changed and how follows from the text and the seed. An edit can leave the answer right, so texts are best
    judged before they are trained on.

    Attributes:
        kinds: any of ``number``, ``negation``, ``name``.
        per_query: how many positives of a query are edited, drawn by the seed.
    """

    kinds: tuple[str, ...] = KINDS
    per_query: int = 1

    def __post_init__(self) -> None:
        require(isinstance(self.kinds, tuple) and bool(self.kinds), self, "kinds", f"a list of {', '.join(KINDS)}")
        for kind in self.kinds:
            if kind not in KINDS:
                known = ", ".join(KINDS)
                raise ConfigError(f"Edits: there is no kind {kind!r}.{did_you_mean(str(kind), KINDS)} Known: {known}.")
        require(isinstance(self.per_query, int) and self.per_query >= 1, self, "per_query", "a whole number from 1")

    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """The edited texts of each query, in the order of ``kinds``."""
        return self.written(material).proposed(material)

    def written(self, material: Material) -> Written:
        """The edited texts, and how many positives do not allow a kind of edit."""
        query, parent = pairs_to_write_for(material, self.per_query)
        identifiers, names = names_of(_sample(material)) if "name" in self.kinds else ((), ())
        texts = [
            edited(document, kind, material.seed, identifiers=identifiers, names=names)
            for document in material.document_texts(parent)
            for kind in self.kinds
        ]
        reasons = [f"no {kind} to change" for _ in parent for kind in self.kinds]
        reasons = ["" if text is not None else reason for text, reason in zip(texts, reasons, strict=True)]
        count = len(self.kinds)
        return taken(material, np.repeat(query, count), np.repeat(parent, count), texts, reasons)


def edited(
    text: str, kind: str, seed: int, *, identifiers: Sequence[str] = (), names: Sequence[str] = ()
) -> str | None:
    """A text with one thing changed; None where there is nothing to change, or nothing else to put there.

    Args:
        text: the text.
        kind: one of ``KINDS``.
        seed: with the key of the text it decides what is changed, and to what.
        identifiers: what an identifier may become.
        names: what a name may become.
    """
    key = text_key(text)
    generator = np.random.default_rng((seed, KINDS.index(kind), int.from_bytes(key[:8])))
    if kind == "number":
        changed = _other_number(text, generator)
    elif kind == "negation":
        changed = _other_sense(text, generator)
    else:
        changed = _other_name(text, _IDENTIFIER, identifiers, generator) or _other_name(text, _NAME, names, generator)
    return changed if changed is not None and text_key(changed) != key else None


def names_of(texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The identifiers and the names in texts, each once, in order of the alphabet."""
    found = [sorted({match for text in texts for match in pattern.findall(text)}) for pattern in (_IDENTIFIER, _NAME)]
    return tuple(found[0]), tuple(found[1])


def _sample(material: Material) -> list[str]:
    """Documents of the corpus, drawn by the seed and their place in the order of keys."""
    rows = material.searched[np.argsort(material.tie_order[material.searched])]
    chosen = np.random.default_rng((material.seed, len(KINDS))).permutation(len(rows))[:_SAMPLE]
    return material.document_texts(rows[chosen])


def _other_number(text: str, generator: np.random.Generator) -> str | None:
    """One of the numbers becomes another of as many digits."""
    match = _one_of(list(_NUMBER.finditer(text)), generator)
    if match is None:
        return None
    digits = match.group()
    least = 0 if len(digits) == 1 or digits[0] == "0" else 10 ** (len(digits) - 1)
    other = int(generator.integers(least, 10 ** len(digits) - 1))
    other += other >= int(digits)  # all but the number itself, equally likely
    return text[: match.start()] + str(other).zfill(len(digits)) + text[match.end() :]


def _other_sense(text: str, generator: np.random.Generator) -> str | None:
    """A ``not`` goes, or where there is none comes."""
    match = _one_of(list(_NEGATED.finditer(text)), generator)
    if match is not None:
        return text[: match.end(1)] + text[match.end() :]
    match = _one_of(list(_VERB.finditer(text)), generator)
    return None if match is None else text[: match.end()] + " not" + text[match.end() :]


def _other_name(text: str, pattern: re.Pattern[str], pool: Sequence[str], generator: np.random.Generator) -> str | None:
    """One of the names becomes another that the text does not hold, wherever it stands."""
    name = _one_of(sorted(set(pattern.findall(text))), generator)
    folded = text.lower()
    drawn = (_one_of(pool, generator) for _ in range(_TRIES))  # a look at all of a large pool would take longer
    other = next((each for each in drawn if each is not None and each.lower() not in folded), None)
    if name is None or other is None:
        return None
    return re.sub(rf"\b{re.escape(name)}\b", lambda _: other, text)


def _one_of(items: Sequence[Item], generator: np.random.Generator) -> Item | None:
    return items[int(generator.integers(len(items)))] if items else None
