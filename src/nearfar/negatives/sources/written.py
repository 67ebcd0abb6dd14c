"""Candidates that a language model writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from nearfar.config.component import is_number, is_whole, require
from nearfar.events import Silent, Sink
from nearfar.negatives import prompts
from nearfar.negatives.answers import key_of
from nearfar.negatives.generate import Writer, Writing
from nearfar.negatives.material import Material
from nearfar.negatives.parts import Proposed, Source


@dataclass(frozen=True, kw_only=True)
class Generated(Source):
    """Texts that share a query's topic and do not answer it, by a language model (2504.21015).

    Mined negatives have been found to be better where there is a corpus; mix them. Where only negatives are written, a
    model may learn to tell written texts from others.

    Attributes:
        model: the name by which the server knows the language model.
        url: of a server that speaks the OpenAI protocol; empty for that of ``--judge-url``.
        per_query: for how many positives of a query a text is written.
        overlap: the largest share of a text's three-word sequences that may stand in the positive.
        template: a file with a request of your own; empty for ours.
    """

    model: str
    url: str = ""
    per_query: int = 1
    overlap: float = 0.3
    template: str = ""
    example: ClassVar[str] = "Generated(model='qwen3')"

    def __post_init__(self) -> None:
        require(isinstance(self.model, str) and bool(self.model), self, "model", "the name of a model")
        require(is_whole(self.per_query) and self.per_query > 0, self, "per_query", "a whole number above 0")
        require(is_number(self.overlap) and 0 <= self.overlap <= 1, self, "overlap", "a number from 0 to 1")

    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """Candidates for each of the job's queries.

        Raises:
            PausedError: the budget is spent or the server is down; what was answered is kept.
        """
        writing = Writing(per_query=self.per_query, overlap=self.overlap)
        asker = material.services.asker(self.model, self.url)
        return Writer(asker, writing, negative=self._request()).negatives(material, sink).proposed(material)

    @property
    def fingerprint(self) -> str:
        """The text form and the request."""
        return f"{self} {key_of(self._request()).hex()}"

    def _request(self) -> str:
        if not self.template:
            return prompts.NEGATIVE
        return prompts.read_template(Path(self.template).expanduser(), ("query", "document"))
