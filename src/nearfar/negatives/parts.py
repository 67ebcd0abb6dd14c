"""The kinds of parts that a mining job is composed of. Each part is a frozen component with a text form."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32, Int32

from nearfar.config.component import Component
from nearfar.errors import ConfigError
from nearfar.events import Silent, Sink
from nearfar.negatives.candidates import SOURCE, Candidates, Reason
from nearfar.negatives.material import Made, Material
from nearfar.types import Hits

REFERENCES = ("min", "max", "mean", "pair")
"""Which of a query's positives a candidate is held against."""


@dataclass(frozen=True, eq=False)
class Proposed:
    """What a source proposes.

    Attributes:
        hits: document rows for each of the job's queries, best first; rows behind the table are ``made``'s.
        made: texts that the source wrote, numbered from the end of the document table.
        refused: how many texts it did not take, or could not write, by reason.
    """

    hits: Hits
    made: Made = field(default_factory=Made)
    refused: Mapping[str, int] = field(default_factory=dict)


class Source(Component, ABC):
    """Where candidates come from."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models whose vectors it goes by; empty for the one that is mined for."""
        return ()

    @abstractmethod
    def propose(self, material: Material, sink: Sink = Silent()) -> Proposed:
        """Candidates for each of the job's queries."""

    @property
    def fingerprint(self) -> str:
        """What beside the material decides the result: the text form, and the content of files it reads."""
        return str(self)


class Scorer(Component, ABC):
    """Gives each pair of a query and a document a score by which filters and weights go."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that it opens; empty for the one that is mined for."""
        return ()

    @abstractmethod
    def score(
        self, material: Material, queries: np.ndarray, documents: np.ndarray, sink: Sink = Silent()
    ) -> Float32[np.ndarray, " pair"]:
        """The scores of pairs of a query row and a document row; NaN where there is no answer."""

    @property
    def fingerprint(self) -> str:
        """What beside the texts decides a score: the text form, and the weights of a model."""
        return str(self)


class Part(Component, ABC):
    """What goes by scores."""

    @property
    def asks(self) -> tuple[str, ...]:
        """Names of the scores it goes by, beside that of the source: the one in its field ``by``, if it has one."""
        by = getattr(self, "by", None)
        return () if by in (None, SOURCE) else (by,)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models whose vectors it goes by; empty for the one that is mined for."""
        return ()


class Filter(Part):
    """Drops candidates that may be relevant, or are no use."""

    reason: ClassVar[Reason]

    @abstractmethod
    def drops(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which rows to drop; what it says of rows that are dropped already does not count."""

    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with a reason for those that it drops."""
        return candidates.drop(self.drops(candidates, material), self.reason)


class Weight(Part):
    """Weighs the candidates that are kept."""

    @abstractmethod
    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with other weights."""


class Relabel(Part):
    """Says what becomes of candidates that are relevant after all, or of their queries."""

    @abstractmethod
    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with labels and reasons."""


class Selection(Part):
    """Chooses which of the kept candidates are handed out."""

    @property
    @abstractmethod
    def wanted(self) -> int:
        """How many candidates a list has when there are enough."""

    @property
    def reach(self) -> int | None:
        """How many of the kept candidates of a list it looks at, the hardest by ``by`` first; None for all."""
        return None

    @abstractmethod
    def chosen(self, candidates: Candidates, material: Material) -> Bool[np.ndarray, " row"]:
        """Which kept rows are chosen."""

    def apply(self, candidates: Candidates, material: Material) -> Candidates:
        """The candidates with ``BUDGET`` as the reason of those that are not chosen."""
        return candidates.drop(~self.chosen(candidates, material), Reason.BUDGET)

    def groups(self, candidates: Candidates, material: Material) -> Int32[np.ndarray, " row"]:
        """The group of each kept row after ``apply``, for selections that give every epoch its own; else 0."""
        return np.zeros(len(candidates), dtype=np.int32)


def generator(material: Material, *salt: int) -> np.random.Generator:
    """The random numbers of one part: from the job's seed and a salt of the part's own."""
    return np.random.default_rng((material.seed, *salt))


def check_reference(component: Component, how: str) -> None:
    """Refuse an unknown way to compare with positives.

    Raises:
        ConfigError: with those that there are.
    """
    if how not in REFERENCES:
        raise ConfigError(f"{type(component).__name__}: positive must be one of {', '.join(REFERENCES)}, got {how!r}.")
