"""A cause of trouble: what is looked at, what was found there, and what is concluded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

NAMED, NOT_FOUND, NOT_MEASURED = "named", "not found", "not measured"
"""What is concluded of a cause."""

Look = Callable[..., "Sequence[Sign]"]
"""Takes the ``Material`` of a run, which this file does not import: it opens models, and a verdict does not."""


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A number that speaks for a cause when it is beyond its limit.

    Of a number from a sample the whole interval has to be beyond the limit, so that chance is not named.

    Attributes:
        name: what it is, in a few words.
        value: what was measured.
        usual: what it is where nothing is wrong; the limit lies on one side of it.
        limit: from where on it speaks for the cause.
        low, high: the interval of the value; None where it is not from a sample.
        sentence: what was found, for a human.
        numbers: what else belongs to it, by name.
        examples: texts to judge it by, each by what it is.
        excuse: why it does not speak for the cause all the same, as the end of a sentence; empty where it may.
    """

    name: str
    value: float
    usual: float
    limit: float
    low: float | None = None
    high: float | None = None
    sentence: str
    numbers: Mapping[str, float | int] = field(default_factory=dict)
    examples: tuple[Mapping[str, str], ...] = ()
    excuse: str = ""

    @property
    def strength(self) -> float:
        """How far the nearer end of the interval is from the usual, as a share of how far the limit is: 1 is there."""
        above = self.limit > self.usual
        bound = self.low if above else self.high
        return ((self.value if bound is None else bound) - self.usual) / (self.limit - self.usual)

    @property
    def speaks(self) -> bool:
        """Whether it is beyond its limit, and has no excuse."""
        return self.strength >= 1 and not self.excuse


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A cause, and how it is looked for.

    Attributes:
        name: a word for tables and files, and the end of its place in the documentation.
        title: what is wrong, in a few words.
        measured: what is looked at, in a sentence.
        limit: where its limits come from, in a sentence.
        advice: what to do.
        look: gives the signs; raises ``Unmeasured`` where nothing can be said.
        follows: causes that bring its signs about as well. Where one of them is named, this one stands behind it.
    """

    name: str
    title: str
    measured: str
    limit: str
    advice: str
    look: Look
    follows: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Where the documentation speaks of it."""
        return f"docs/concepts/failure-modes.md#{self.name}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is concluded of a cause.

    Attributes:
        cause: the cause.
        state: ``NAMED``, ``NOT_FOUND`` or ``NOT_MEASURED``.
        signs: what was measured, the strongest first.
        why: for what was not measured, the reason.
        behind: a named cause that explains the signs of this one.
    """

    cause: Cause
    state: str
    signs: tuple[Sign, ...] = ()
    why: str = ""
    behind: str = ""

    @property
    def strength(self) -> float:
        """That of its strongest sign; 0 without any."""
        return self.signs[0].strength if self.signs else 0.0
