"""Judges: how relevant a document is to a query, asked of a language model; ``Cascade`` joins two of them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from nearfar.data.identity import text_key
from nearfar.errors import ConfigError
from nearfar.events import Silent, Sink
from nearfar.negatives import prompts
from nearfar.negatives.answers import Value, key_of
from nearfar.negatives.asking import Asker, Form, Question
from nearfar.negatives.endpoint import Reply

_WORD = re.compile(r"\W*(yes|no)[ \t]*(?:[^\w\s]|\n|\Z)", re.IGNORECASE)
"""At the start, and at the end of a clause: "no idea" is not a no."""
_NUMBERS = re.compile(r"\[?\d+\]?(?:(?:\s*,\s*|\s+(?:and\s+)?)\[?\d+\]?)*\.?")

YES_OR_NO = Form(name="probability of yes", max_tokens=4, remark=prompts.RELEVANT_REMARK, logprobs=True)
NUMBERS = Form(name="numbers of texts", max_tokens=128, remark=prompts.RELEVANT_AMONG_REMARK)


@runtime_checkable
class Judge(Protocol):
    """Anything that says how relevant documents are to queries."""

    @property
    def fingerprint(self) -> str:
        """What a score follows from, beside the texts."""

    def scores(
        self, queries: Sequence[str], documents: Sequence[str], sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """The score of each pair, higher for more relevant; NaN where there is no answer."""


class LanguageModelJudge:
    """Asks about one pair at a time whether the document answers the query.

    The score is that of UniME-V2 (arXiv 2510.13515): the probability of yes over that of yes or no, where the server
    gives probabilities; else 1 or 0 by the word.

    Args:
        asker: whom to ask.
        template: with ``{query}`` and ``{document}``, asking for yes or no.
        logprobs: whether to ask for probabilities; some servers refuse.
    """

    def __init__(self, asker: Asker, *, template: str = prompts.RELEVANT, logprobs: bool = True) -> None:
        self.asker, self.template = asker, template
        self.form = YES_OR_NO if logprobs else Form(**{**vars(YES_OR_NO), "logprobs": False})

    @property
    def fingerprint(self) -> str:
        """Model, settings of the question and template; not the address."""
        return self.asker.fingerprint(self.form, self.template)

    def scores(
        self, queries: Sequence[str], documents: Sequence[str], sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """The probability of relevance of each pair; NaN where the model was asked in vain.

        Raises:
            PausedError: the budget is spent or the server is down; what was answered is kept.
        """
        questions = [
            Question(self.template, read_yes, {"query": query, "document": document})
            for query, document in zip(queries, documents, strict=True)
        ]
        found = self.asker.ask(questions, self.form, sink, "judging")
        return np.array([math.nan if value is None else value for value in found], dtype=np.float32)


class ListJudge:
    """Asks which of several documents answer a query: fewer questions, and 1 or 0 instead of a probability.

    The documents of a query are shown in random order, since models favour places; the order follows from the seed and
    the texts, not from the order in which they are given.

    Args:
        asker: whom to ask.
        together: how many documents a question has at most.
        seed: of the order.
        template: with ``{query}`` and ``{documents}``, asking for numbers or none.
    """

    def __init__(
        self, asker: Asker, *, together: int = 10, seed: int = 0, template: str = prompts.RELEVANT_AMONG
    ) -> None:
        if together < 1:
            raise ConfigError(f"A list judge needs at least one document in a question, got together={together}.")
        self.asker, self.together, self.seed, self.template = asker, together, seed, template

    @property
    def fingerprint(self) -> str:
        """As of ``LanguageModelJudge``, with what decides the order."""
        return self.asker.fingerprint(NUMBERS, self.template, str(self.together), str(self.seed))

    def scores(
        self, queries: Sequence[str], documents: Sequence[str], sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """1 for a document that the model named and 0 for the others; NaN where it was asked in vain.

        Raises:
            PausedError: the budget is spent or the server is down; what was answered is kept.
        """
        shown: dict[str, dict[str, None]] = {}
        for query, document in zip(queries, documents, strict=True):
            shown.setdefault(query, {})[document] = None
        lists = [(query, part) for query, texts in shown.items() for part in self._parts(query, list(texts))]
        questions = [
            Question(
                self.template, partial(read_numbers, among=len(part)), {"query": query, "documents": _Numbered(part)}
            )
            for query, part in lists
        ]
        found: dict[tuple[str, str], float] = {}
        for (query, part), value in zip(lists, self.asker.ask(questions, NUMBERS, sink, "judging"), strict=True):
            named = value if isinstance(value, list) else None
            for place, document in enumerate(part):
                found[query, document] = math.nan if named is None else float(place + 1 in named)
        return np.array([found[pair] for pair in zip(queries, documents, strict=True)], dtype=np.float32)

    def _parts(self, query: str, documents: list[str]) -> list[list[str]]:
        """The documents of a query in the order in which they are shown, in lists of about equal length."""
        ordered = sorted(documents, key=lambda text: (text_key(text), text))
        generator = np.random.default_rng((self.seed, int.from_bytes(text_key(query)[:8])))
        mixed = [ordered[place] for place in generator.permutation(len(ordered))]
        count = math.ceil(len(mixed) / self.together)
        bounds = [len(mixed) * part // count for part in range(count + 1)]
        return [mixed[start:end] for start, end in pairwise(bounds)]


@dataclass(frozen=True)
class _Numbered:
    """Texts as they are shown together."""

    texts: list[str]

    def __str__(self) -> str:
        return "\n\n".join(f"[{number}] {text}" for number, text in enumerate(self.texts, start=1))


@dataclass(frozen=True)
class Cascade:
    """A cheap judge for every pair, and a better one for those that it flags (RLHN, arXiv 2505.16967).

    Attributes:
        first: asked about every pair. A pair that it does not answer has no score.
        second: asked about the pairs that are flagged; its score counts.
        flagged_from: the first judge's score from which a pair is flagged.
    """

    first: Judge
    second: Judge
    flagged_from: float = 0.5

    @property
    def fingerprint(self) -> str:
        """Of both, and of what is flagged."""
        return key_of(self.first.fingerprint, self.second.fingerprint, self.flagged_from).hex()

    def scores(
        self, queries: Sequence[str], documents: Sequence[str], sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """The second judge's score of what the first one flags, else the first one's."""
        scores = self.first.scores(queries, documents, sink).copy()
        flagged = np.flatnonzero(scores >= self.flagged_from).tolist()
        if flagged:
            scores[flagged] = self.second.scores(
                [queries[place] for place in flagged], [documents[place] for place in flagged], sink
            )
        return scores


def read_yes(reply: Reply) -> Value:
    """The probability of yes; None for an answer that is neither yes nor no."""
    word = _WORD.match(reply.text)
    if word is None:
        return None
    chances = {"yes": 0.0, "no": 0.0}
    for token, logarithm in reply.first.items():
        found = token.strip().strip("\"'*.,!").lower()
        if found in chances and logarithm <= 0.0:  # not for what is no probability
            chances[found] += math.exp(logarithm)
    both = chances["yes"] + chances["no"]
    return chances["yes"] / both if both > 0.0 else float(word[1].lower() == "yes")


def read_numbers(reply: Reply, among: int) -> Value:
    """The numbers in an answer, ascending; None for nonsense, such as a number beyond ``among``."""
    text = reply.text.strip()
    if reply.cut:
        return None
    if text.strip("\"'*. ").lower() == "none":
        return []
    numbers = sorted({int(number) for number in re.findall(r"\d+", text)}) if _NUMBERS.fullmatch(text) else []
    if not numbers or numbers[0] < 1 or numbers[-1] > among:
        return None
    return [float(number) for number in numbers]
