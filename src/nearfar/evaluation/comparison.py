"""What ``nearfar compare`` found, as typed values: the content of ``comparison.json``.

``comparing`` fills them, the page and the table of the terminal show them. Everything that a reader has to know about a
number stands beside it: what it is a mean of, what its interval covers, and what was not finished.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from nearfar.errors import DataError
from nearfar.files import write_json

VERSION = 1
"""Of the form of ``comparison.json``."""
COMPARISON, PER_QUERY, CELLS = "comparison.json", "per_query.parquet", "cells.parquet"
"""Names of the files in the folder of a comparison."""
ALL = "all data sets"
"""What the table over all data sets is called."""
COST_AXES = ("train_seconds", "cpu_seconds", "tokens", "peak_memory", "parameters", "dimensions", "encode_seconds")
"""Fields of ``Cost`` that are costs: less is better."""

Kind = Literal["recipe", "model", "bm25", "run"]
"""What a system is: trained here by a recipe, a model as it is, BM25, or something finished elsewhere."""
Verdict = Literal["better", "worse", "open"]
"""``open``: could not be told apart, which does not say that they are equal."""


@dataclass(frozen=True, kw_only=True)
class System:
    """What is compared. ``settings`` says in one line what is special about it, such as its objective."""

    name: str
    kind: Kind
    settings: str


@dataclass(frozen=True, kw_only=True)
class ComparedData:
    """A data set: where it is from, and how many test queries and searched documents there are."""

    name: str
    source: str
    split: str
    queries: int
    documents: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One system in a table.

    Attributes:
        system: its name.
        mean: of the measure, over queries and seeds, each data set with the same weight.
        low, high: interval of this mean alone; intervals of two systems may overlap although they differ for sure.
        by_seed: the mean of each seed, in the order of ``Table.seeds``; one value where it is not trained here.
        letters: a letter for each group that it is in: two systems share one where no difference was found between
            them. Empty where the table is against a baseline.
        leader: whether it is the best, or could not be told apart from the best; with a baseline, always False.
        verdict: against the baseline, by the corrected p-value; None without a baseline, and of the baseline itself.
    """

    system: str
    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    letters: str
    leader: bool
    verdict: Verdict | None


@dataclass(frozen=True, kw_only=True)
class Versus:
    """One comparison: treatment minus control.

    Attributes:
        treatment, control: names of systems. The control is the baseline, or else the one with the lower mean.
        difference: the mean difference.
        low, high: its interval, of this comparison alone, not corrected for the others.
        p: two-sided, of no difference.
        adjusted: p corrected for all comparisons of the family (Holm).
        verdict: of treatment, by ``adjusted``.
        detectable: the smallest true difference that this comparison would have found with 80 % probability after the
            correction. None where nothing varied.
        shares: how much of the variance of the difference each source makes: queries, seeds. Empty where nothing
            varied.
    """

    treatment: str
    control: str
    difference: float
    low: float
    high: float
    p: float
    adjusted: float
    verdict: Verdict
    detectable: float | None
    shares: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Systems on one data set, or over all.

    Attributes:
        name: of the data set, or ``ALL``.
        data_sets: that count.
        seeds: by data set, those that all trained systems of this table finished; others are not used. Empty where
            nothing was trained here.
        queries: number of queries, of all data sets.
        standings: best mean first.
        groups: names of systems that cannot be told apart, as for ``Standing.letters``; empty with a baseline.
        versus: the comparisons that could be made: each with the baseline, or each pair without one.
        family: number of comparisons that p-values are corrected for, whether or not all could be made.
        covers: in words, what chance the intervals cover and what not.
        left_out: systems that are not in this table, each with the reason.
    """

    name: str
    data_sets: tuple[str, ...]
    seeds: dict[str, tuple[int, ...]]
    queries: int
    standings: tuple[Standing, ...]
    groups: tuple[tuple[str, ...], ...]
    versus: tuple[Versus, ...]
    family: int
    covers: str
    left_out: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The mean of any measure by system and data set, over the seeds of the table of that data set."""

    system: str
    data_set: str
    measure: str
    mean: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a system costs: means over its finished cells, of the data sets that all systems finished.

    Attributes:
        system: its name.
        quality: its mean in the table over all data sets, or in the only one. None where it is in neither.
        train_seconds: of wall clock for one training. 0 for what is not trained here; None where it is not known.
        cpu_seconds: of all processor cores for one training.
        texts: that one training embedded.
        tokens: that one training embedded, padding not counted.
        peak_memory: that training and measuring took at once, beyond what the process had before, in bytes.
        parameters: of the encoder.
        dimensions: of its vectors.
        encode_seconds: to embed and search all test queries and documents once.
        on_front: names of fields of ``COST_AXES`` by which no system is both cheaper and at least as good. By the means
            alone: chance does not enter.
    """

    system: str
    quality: float | None
    train_seconds: float | None
    cpu_seconds: float | None
    texts: float | None
    tokens: float | None
    peak_memory: float | None
    parameters: float | None
    dimensions: float | None
    encode_seconds: float | None
    on_front: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A query whose value fell by more than the threshold between baseline and system.

    Attributes:
        query_id, query: which.
        before, after: its value with the baseline and with the system, means over seeds.
        seeds: how many of the seeds it fell in.
        wanted: text of a relevant document.
        found_before, found_after: text of the first document found, in the first seed that it fell in. Empty where
            texts are not known.
    """

    query_id: str
    query: str
    before: float
    after: float
    seeds: int
    wanted: str
    found_before: str
    found_after: str


@dataclass(frozen=True, kw_only=True)
class FlipsOf:
    """Negative flips of a system against the baseline on a data set.

    Attributes:
        system, baseline, data_set: names.
        threshold: a fall of the measure by more than this is a negative flip, a rise a positive one.
        negative_rate: share of the queries that fell, mean over seeds; ``low`` and ``high`` its interval.
        positive_rate: share of those that rose.
        again_rate: share that falls when the baseline itself is trained again, from its own seeds; None with one seed,
            or where the baseline is not trained here. A rate near this says nothing about the system.
        worst: the largest falls.
    """

    system: str
    baseline: str
    data_set: str
    threshold: float
    negative_rate: float
    low: float
    high: float
    positive_rate: float
    again_rate: float | None
    worst: tuple[Flip, ...]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A cell without a result: ``failed`` with its message, or ``missing`` because the job ended before it."""

    system: str
    data_set: str
    seed: int | None
    state: Literal["failed", "missing"]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison, whole or as far as it is finished.

    Attributes:
        name: for a title.
        measure: that decides.
        measures: all that were computed.
        confidence: of the intervals; differences are found at the level 1 - confidence over the family.
        baseline: the system that all are compared with, if one was named.
        systems, data_sets, seeds: what was asked for, in that order.
        overall: the table over all data sets that every system of it finished; None with one data set, or none.
        tables: one for each data set that has something to compare.
        scores: all measures.
        costs: by system.
        flips: against the baseline.
        gaps: cells without a result.
        cells: how many there are in all.
        notes: sentences that a reader must see, the most important first, such as that there is one seed only.
        method: how it was done, one sentence each.
        go_on: what to do to finish it; empty when it is whole.
        version: of this form.
    """

    name: str
    measure: str
    measures: tuple[str, ...]
    confidence: float
    baseline: str | None
    systems: tuple[System, ...]
    data_sets: tuple[ComparedData, ...]
    seeds: tuple[int, ...]
    overall: Table | None
    tables: tuple[Table, ...]
    scores: tuple[Score, ...]
    costs: tuple[Cost, ...]
    flips: tuple[FlipsOf, ...]
    gaps: tuple[Gap, ...]
    cells: int
    notes: tuple[str, ...]
    method: tuple[str, ...]
    go_on: str
    version: int = VERSION

    @property
    def main(self) -> Table | None:
        """The table that answers the question: over all data sets, else the first there is; None without any."""
        return self.overall or (self.tables[0] if self.tables else None)

    def write(self, folder: Path) -> None:
        """Write ``comparison.json`` into a folder.

        Raises:
            ResourceError: it cannot be written.
        """
        write_json(folder / COMPARISON, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Comparison":
        """What ``write`` wrote into a folder.

        Raises:
            DataError: there is none, or it is damaged or of another version.
        """
        path = folder / COMPARISON
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read ({error}). nearfar compare writes it.") from error
        version = content.get("version") if isinstance(content, dict) else None
        if version != VERSION:
            raise DataError(
                f"{path} has the form {version!r}, this nearfar reads {VERSION}. Make it again: nearfar compare."
            )
        try:
            return TypeAdapter(cls).validate_python(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "top level"
            raise DataError(f"{path}, at {place}: {first['msg'].lower()}. Make it again: nearfar compare.") from None
