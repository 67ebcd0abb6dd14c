"""Queries and hard negatives written by a language model.

A negative is on the topic of the query and does not answer it ("Don't Retrieve, Generate", arXiv 2504.21015). In later
versions of that paper mined negatives beat written ones on ten BEIR sets: they are for where there is no corpus, and
better mixed with mined ones. Where all negatives are written and all positives are not, a model can learn to tell the
texts of language models from others instead of what answers a query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from jaxtyping import Int32

from nearfar.config.component import Component, is_number, require
from nearfar.data.identity import normalise, text_key
from nearfar.events import Silent, Sink
from nearfar.negatives import prompts
from nearfar.negatives.answers import Value
from nearfar.negatives.asking import Asker, Form, Question
from nearfar.negatives.endpoint import Reply
from nearfar.negatives.material import Material
from nearfar.negatives.written import Written, pairs_to_write_for, taken

NOT_WRITTEN = "not written"
_QUERY = Form(name="query", max_tokens=96, remark=prompts.WRITING_REMARK)
_NEGATIVE = Form(name="negative", max_tokens=1024, remark=prompts.WRITING_REMARK)
_QUERY_WORDS = 64


@dataclass(frozen=True, kw_only=True)
class Writing(Component):
    """What is written for each query, and what is taken of it.

    Attributes:
        per_query: for how many positives of a query a negative is written, drawn by the seed.
        overlap: the largest share of a text's n-grams of words that may stand in the text it was made from.
        ngram: how many words an n-gram has.
        shortest: the least length in characters, as a share of that of the text it was made from.
        longest: the greatest, in the same way.
    """

    per_query: int = 1
    overlap: float = 0.3
    ngram: int = 3
    shortest: float = 0.3
    longest: float = 3.0

    def __post_init__(self) -> None:
        require(isinstance(self.per_query, int) and self.per_query >= 1, self, "per_query", "a whole number from 1")
        require(isinstance(self.ngram, int) and self.ngram >= 1, self, "ngram", "a whole number from 1")
        require(is_number(self.overlap) and 0 <= self.overlap <= 1, self, "overlap", "between 0 and 1")
        require(is_number(self.shortest) and self.shortest >= 0, self, "shortest", "a number from 0")
        require(is_number(self.longest) and self.longest > self.shortest, self, "longest", "above shortest")

    def refuses(self, text: str, parent: str) -> str:
        """Why a text that was made from another is not taken; empty where it is."""
        if text_key(text) == text_key(parent):
            return "same as a positive"
        if len(text) < self.shortest * len(parent):
            return "too short"
        if len(text) > self.longest * len(parent):
            return "too long"
        return "too much of a positive" if overlap(text, parent, self.ngram) > self.overlap else ""


def overlap(text: str, other: str, ngram: int) -> float:
    """The share of a text's n-grams of words that stand in another text; the whole text is one where it is shorter."""
    words, others = normalise(text).split(), normalise(other).split()
    size = max(1, min(ngram, len(words)))
    mine = [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
    theirs = {tuple(others[start : start + size]) for start in range(len(others) - size + 1)}
    return sum(each in theirs for each in mine) / len(mine) if mine else 0.0


class Writer:
    """A language model that writes queries and hard negatives.

    Args:
        asker: whom to ask.
        options: what is written and what is taken.
        query: a template with ``{document}``.
        negative: a template with ``{query}`` and ``{document}``; ``{words}`` is how long the document is.
    """

    def __init__(
        self,
        asker: Asker,
        options: Writing = Writing(),
        *,
        query: str = prompts.QUERY,
        negative: str = prompts.NEGATIVE,
    ) -> None:
        self.asker, self.options, self.query, self.negative = asker, options, query, negative

    @property
    def fingerprint(self) -> str:
        """What the texts follow from, beside queries and documents: model, templates, what is taken."""
        forms = [self.asker.fingerprint(form, self.query, self.negative) for form in (_QUERY, _NEGATIVE)]
        return blake2b(f"{self.options} {forms}".encode(), digest_size=16).hexdigest()

    def queries(self, documents: Sequence[str], sink: Sink = Silent()) -> list[str | None]:
        """A query that each document answers; None where none was written, or only a copy of the document.

        Raises:
            PausedError: the budget is spent or the server is down; what was answered is kept.
        """
        questions = [Question(self.query, read_query, {"document": document}) for document in documents]
        found = self.asker.ask(questions, _QUERY, sink, "writing queries")
        return [
            text if isinstance(text, str) and text_key(text) != text_key(document) else None
            for text, document in zip(found, documents, strict=True)
        ]

    def negatives(self, material: Material, sink: Sink = Silent()) -> Written:
        """A hard negative for each query and so many of its positives, and how many were refused by reason.

        Raises:
            PausedError: the budget is spent or the server is down; what was answered is kept.
        """
        query, parent = pairs_to_write_for(material, self.options.per_query)
        documents = material.document_texts(parent)
        questions = [
            Question(self.negative, read_text, {"query": text, "document": document, "words": len(document.split())})
            for text, document in zip(material.query_texts(query), documents, strict=True)
        ]
        texts = [
            text if isinstance(text, str) else None
            for text in self.asker.ask(questions, _NEGATIVE, sink, "writing negatives")
        ]
        return self._checked(material, query, parent, texts, documents)

    def _checked(
        self,
        material: Material,
        query: Int32[np.ndarray, " pair"],
        parent: Int32[np.ndarray, " pair"],
        texts: Sequence[str | None],
        documents: Sequence[str],
    ) -> Written:
        reasons = [
            NOT_WRITTEN if text is None else self.options.refuses(text, document)
            for text, document in zip(texts, documents, strict=True)
        ]
        return taken(material, query, parent, texts, reasons)


def read_text(reply: Reply) -> Value:
    """What was written, without space and quotation marks around it; None where it is empty or ends in the middle."""
    text = reply.text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    usable = bool(normalise(text)) and not reply.cut and not _half_surrogate(text)
    return text if usable else None


def read_query(reply: Reply) -> Value:
    """A query: a text of one line and not too many words."""
    text = read_text(reply)
    return text if isinstance(text, str) and "\n" not in text and len(text.split()) <= _QUERY_WORDS else None


def _half_surrogate(text: str) -> bool:
    """Whether a text is no Unicode text, which JSON can carry."""
    return any("\ud800" <= character <= "\udfff" for character in text)
