"""What the page of a mining job is made from: the account and the examples of a run folder, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from nearfar.errors import DataError
from nearfar.negatives.candidates import Reason
from nearfar.negatives.reasons import GROUPS, code
from nearfar.reports.folder import read_json

ACCOUNT, EXAMPLES, RECORD, RUN, CONFIG = "account.json", "examples.json", "mining.json", "run.json", "config.yaml"
KNOWN_POSITIVES = "known positives"
"""The group of a histogram that is not of candidates."""


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """What became of the candidates of one source.

    Attributes:
        source: its text form.
        proposed: how many it proposed: those that were dropped, by the code of the reason, and those that were kept.
    """

    source: str
    proposed: int
    dropped: Mapping[str, int]
    kept: int

    def count(self, reason: Reason) -> int:
        """How many have a reason."""
        return self.kept if reason == Reason.KEPT else self.dropped.get(code(reason), 0)

    def group(self, name: str) -> int:
        """How many have a reason of a group."""
        return sum(self.count(reason) for reason in GROUPS[name])


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Histograms of a score over common bins, by what became of the candidate; one of the known positives beside."""

    edges: tuple[float, ...]
    counts: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """The estimate of how many negatives are relevant after all. ``share`` is None when nothing was answered."""

    by: str
    limit: Annotated[float, Field(alias="from")]
    sample: int
    judged: int
    relevant: int
    share: float | None
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Recall:
    """How much of what exact search finds an approximate index found, on some queries."""

    recall: float
    queries: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """How many of those that a score was asked for have none."""

    candidates: int
    positives: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account of a mining job.

    Attributes:
        queries: that were mined for.
        queries_with_negatives: those that have one.
        candidates: that were proposed.
        kept: negatives.
        relabelled: candidates that were made positives.
        made: texts that sources wrote.
        list_sizes: how many lists have so many negatives.
        funnel: by source.
        scores: histograms by the name of a score.
        check: the estimate, if one was asked for.
        recall: of approximate indexes, by the text form of their source.
        asked: negatives of a list when there are enough; None when the account does not say.
        unanswered: by the name of a score that was asked for and is not known of all.
        refused: by the text form of a source, how many texts it left out, by reason.
        settled: by the text form of a filter whose limit candidates gave, what it was then.
        depths: how many queries were looked at to which depth, where each was only as deep as needed.
        hopeless: for how many of these filters drop everything that the source may reach.
    """

    queries: int
    queries_with_negatives: int
    candidates: int
    kept: int
    relabelled: int
    made: int
    list_sizes: Mapping[int, int]
    funnel: tuple[SourceRow, ...]
    scores: Mapping[str, Spread]
    check: Check | None = None
    recall: Mapping[str, Recall] | None = None
    asked: int | None = None
    unanswered: Mapping[str, Unanswered] = field(default_factory=dict)
    refused: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    settled: Mapping[str, str] = field(default_factory=dict)
    depths: Mapping[int, int] = field(default_factory=dict)
    hopeless: int = 0

    @cached_property
    def total(self) -> SourceRow:
        """All sources together."""
        dropped = {code(reason): sum(row.count(reason) for row in self.funnel) for reason in Reason if reason}
        return SourceRow(source="all", proposed=self.candidates, dropped=dropped, kept=self.kept)

    @property
    def without(self) -> int:
        """Queries that have no negative."""
        return self.queries - self.queries_with_negatives

    @property
    def short(self) -> int | None:
        """Lists that have some negatives, and fewer than were asked for; None when that is not known."""
        if self.asked is None:
            return None
        return sum(count for size, count in self.list_sizes.items() if 0 < size < self.asked)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A candidate with its texts. ``reason`` is a code, empty for one that was kept."""

    reason: str
    source: str
    rank: int
    query: str
    candidate: str
    positive: str
    scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The examples of all reasons."""

    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class MiningRun:
    """The files of a mining job.

    Attributes:
        account: what became of the candidates.
        examples: some of them.
        record: what was mined for, with hashes.
        config: the settings as YAML, empty where they are not there.
    """

    account: Account
    examples: tuple[Example, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""


def read_mining(folder: Path) -> MiningRun:
    """Read what a mining job wrote about itself.

    Raises:
        DataError: there is no account in the folder, or one of the files is broken.
    """
    account = read_json(folder / ACCOUNT, Account)
    if account is None:
        raise DataError(
            f"{folder} holds no account of a mining job: there is no {ACCOUNT}. Give the folder that nearfar mine "
            "wrote; a job that was stopped goes on with --resume."
        )
    config = folder / CONFIG
    shown = read_json(folder / EXAMPLES, Examples)
    records = (read_json(folder / name, dict) or {} for name in (RUN, RECORD))
    return MiningRun(
        account=account,
        examples=shown.examples if shown is not None else (),
        record={key: value for record in records for key, value in record.items()},
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
    )
