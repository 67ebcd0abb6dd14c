"""What a diagnosis says, as values: nothing here opens a run, so it is there at once."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nearfar.diagnosing.cause import NAMED, Sign, Verdict
from nearfar.statistics.paired import Difference


@dataclass(frozen=True, kw_only=True)
class Change:
    """A setting, or a number, that differs: None where a run has none."""

    name: str
    before: Any
    now: Any


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is different from another run.

    Attributes:
        run: the name of the other run.
        settings: that differ, and what else decided the runs.
        measurements: what was measured of the causes, in both, the most changed first.
        measure: of ``difference``.
        difference: the tuned model of this run minus that of the other on the same queries; None where they are others.
    """

    run: str
    settings: tuple[Change, ...]
    measurements: tuple[Change, ...]
    measure: str
    difference: Difference | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Diagnosis:
    """What is wrong with a run, as far as it can be measured.

    Attributes:
        run: what was looked at: the entries of ``run.json`` that say it.
        verdicts: one for each cause: the named ones first, by their evidence, then those that were not found, then
            those that could not be measured.
        notes: what there is to know beside, as sentences.
        changes: what is different from another run, where one was given.
    """

    run: Mapping[str, Any]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    changes: Changes | None = None

    @property
    def named(self) -> tuple[Verdict, ...]:
        """The causes that were found, the one with most evidence first."""
        return self.of(NAMED)

    def of(self, state: str) -> tuple[Verdict, ...]:
        """The verdicts of one state."""
        return tuple(verdict for verdict in self.verdicts if verdict.state == state)

    def as_dict(self) -> dict[str, Any]:
        """What ``diagnosis.json`` holds."""
        return {
            "run": dict(self.run),
            "named": [verdict.cause.name for verdict in self.named],
            "notes": list(self.notes),
            "causes": [_verdict(verdict) for verdict in self.verdicts],
            "changes": None if self.changes is None else asdict(self.changes),
        }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    cause = verdict.cause
    return {
        "cause": cause.name,
        "title": cause.title,
        "state": verdict.state,
        "why": verdict.why,
        "behind": verdict.behind,
        "measured": cause.measured,
        "limit": cause.limit,
        "advice": cause.advice,
        "page": cause.page,
        "signs": [_sign(sign) for sign in verdict.signs],
    }


def _sign(sign: Sign) -> dict[str, Any]:
    content = {**asdict(sign), "strength": sign.strength, "speaks": sign.speaks}
    content["numbers"] = {name: _number(value) for name, value in sign.numbers.items()}
    return {name: _number(value) if isinstance(value, float) else value for name, value in content.items()}


def _number(value: float | int) -> float | int | None:
    """JSON has no words for what is not finite."""
    return value if math.isfinite(value) else None
