"""Scorers that read both texts of a pair: cross-encoders and language models."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from nearfar.config.component import is_number, is_whole, require
from nearfar.events import Silent, Sink
from nearfar.negatives import prompts
from nearfar.negatives.judges import Cascade as Both
from nearfar.negatives.judges import Judge, LanguageModelJudge, ListJudge
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Scorer


class Reader(Scorer):
    """A scorer that is a judge of texts."""

    @abstractmethod
    def judge(self, material: Material) -> Judge:
        """Who judges."""

    def score(
        self, material: Material, queries: np.ndarray, documents: np.ndarray, sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """The scores of pairs of a query row and a document row; NaN where there is no answer."""
        left, right = (
            _texts(rows, read) for rows, read in ((queries, material.query_texts), (documents, material.document_texts))
        )
        return self.judge(material).scores(left, right, sink)


@dataclass(frozen=True, kw_only=True)
class CrossEncoder(Reader):
    """A cross-encoder's probability that the document answers the query.

    Attributes:
        model: a folder, ``package:NAME``, or owner/name on the hub.
        max_length: tokens after which a pair is cut; none keeps the model's own.
        logits: give what the model puts out, of any size, instead of a probability: for distillation, not thresholds.
    """

    model: str
    max_length: int | None = None
    logits: bool = False
    example: ClassVar[str] = "CrossEncoder(model='cross-encoder/ms-marco-MiniLM-L6-v2')"

    def __post_init__(self) -> None:
        require(isinstance(self.model, str) and bool(self.model), self, "model", "the name of a model")
        cut = self.max_length is None or (is_whole(self.max_length) and self.max_length > 0)
        require(cut, self, "max_length", "a whole number above 0, or none")

    @property
    def models(self) -> tuple[str, ...]:
        """The cross-encoder."""
        return (self.model,)

    def judge(self, material: Material) -> Judge:
        """The model, with the scores that are kept."""
        from nearfar.negatives.cross_encoder import CrossEncoderJudge, open_cross_encoder

        services = material.services
        opened = open_cross_encoder(self.model, device=services.device, max_length=self.max_length, seed=services.seed)
        return CrossEncoderJudge(opened, services.answers, logits=self.logits)


@dataclass(frozen=True, kw_only=True)
class LanguageModel(Reader):
    """A language model's probability of yes, asked whether the document answers the query (UniME-V2, 2510.13515).

    Attributes:
        model: the name by which the server knows it.
        url: of a server that speaks the OpenAI protocol; empty for that of ``--judge-url``.
        together: documents of a query in one question; above 1 scores are 1 or 0, in far fewer questions.
        template: a file with a question of your own; empty for ours.
        logprobs: whether to ask for probabilities; some servers refuse.
    """

    model: str
    url: str = ""
    together: int = 1
    template: str = ""
    logprobs: bool = True
    example: ClassVar[str] = "LanguageModel(model='qwen3')"

    def __post_init__(self) -> None:
        require(isinstance(self.model, str) and bool(self.model), self, "model", "the name of a model")
        require(is_whole(self.together) and self.together > 0, self, "together", "a whole number above 0")

    def judge(self, material: Material) -> Judge:
        """The server's model, with the answers that are kept."""
        asker = material.services.asker(self.model, self.url)
        if self.together == 1:
            template = _template(self.template, prompts.RELEVANT, ("query", "document"))
            return LanguageModelJudge(asker, template=template, logprobs=self.logprobs)
        template = _template(self.template, prompts.RELEVANT_AMONG, ("query", "documents"))
        return ListJudge(asker, together=self.together, seed=material.seed, template=template)


@dataclass(frozen=True, kw_only=True)
class Cascade(Reader):
    """A cheap judge of every pair, and a better one of those that it flags (RLHN, 2505.16967).

    Attributes:
        first: judges every pair.
        second: judges those that are flagged; its score counts.
        flagged_from: the first one's score from which a pair is flagged.
    """

    first: Reader
    second: Reader
    flagged_from: float = 0.5
    example: ClassVar[str] = "Cascade(first=LanguageModel(model=small), second=LanguageModel(model=large))"

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            require(isinstance(getattr(self, name), Reader), self, name, "a CrossEncoder or a LanguageModel")
        require(is_number(self.flagged_from), self, "flagged_from", "a number")

    @property
    def models(self) -> tuple[str, ...]:
        """Those of both."""
        return (*self.first.models, *self.second.models)

    def judge(self, material: Material) -> Judge:
        """Both."""
        return Both(self.first.judge(material), self.second.judge(material), self.flagged_from)


def _template(path: str, ours: str, fields: tuple[str, ...]) -> str:
    return prompts.read_template(Path(path).expanduser(), fields) if path else ours


def _texts(rows: np.ndarray, read: Callable[[np.ndarray], list[str]]) -> list[str]:
    """The texts of rows; each is in memory once, however many pairs it is in."""
    distinct, inverse = np.unique(rows, return_inverse=True)
    texts = read(distinct)
    return [texts[place] for place in inverse.tolist()]
