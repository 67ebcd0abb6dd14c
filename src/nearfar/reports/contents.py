"""What the files of a run folder hold, as typed values. ``folder`` reads them.

Keys that a file has beyond these are ignored, so a newer run can still be read. Everything that an older or
interrupted run may lack has a default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from nearfar.evaluation.calibrated import Calibration
from nearfar.evaluation.space import Geometry

AGAIN = "again"
"""The new run folder in the command that repeats a run."""


@dataclass(frozen=True, kw_only=True)
class About:
    """``run.json``: what was trained, with what, for how long. ``seconds`` is by phase."""

    name: str = ""
    model: str = ""
    model_name: str = ""
    data: str = ""
    created: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    objective: str = ""
    seed: int | None = None
    parameters: int | None = None
    precision: str = ""
    steps: int | None = None
    best_step: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    stopped: str = ""

    @property
    def command(self) -> str:
        """What trains the same again, from where the run was started; empty when data or model are not recorded."""
        model = self.model_name or self.model
        if not self.data or not model:
            return ""
        return f"nearfar train {quote(self.data)} --model {quote(model)} --config config.yaml --out {AGAIN}"


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Counts between neighbouring edges: ``edges`` has one entry more than ``counts``."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """``data.json``: counts of the data, never its texts. ``duplicates`` is by side; ``mined`` is empty without any."""

    name: str = ""
    source: str = ""
    layout: str = ""
    documents: int | None = None
    searched: int | None = None
    queries: Mapping[str, int] = field(default_factory=dict)
    pairs: Mapping[str, int] = field(default_factory=dict)
    duplicates: Mapping[str, int] = field(default_factory=dict)
    leaked_queries: int | None = None
    notes: tuple[str, ...] = ()
    positives_per_query: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, Histogram] = field(default_factory=dict)
    mined: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One paired comparison: ``treatment`` minus ``control`` on one measure, over the same ``n`` queries.

    ``low`` and ``high`` bound the mean difference; ``p`` is of the named test.
    """

    treatment: str
    control: str
    measure: str
    mean: float
    low: float
    high: float
    p: float | None = None
    test: str = ""
    n: int | None = None
    wins: int | None = None
    losses: int | None = None
    ties: int | None = None

    @property
    def distinguishable(self) -> bool:
        """The interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True)
class Scores:
    """``evaluation/scores.json``: means by system and measure, their intervals, and comparisons.

    ``confidence`` is the coverage of every interval of the file.
    """

    split: str = "test"
    queries: int
    documents: int | None = None
    systems: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    confidence: float = 0.95

    @property
    def measures(self) -> tuple[str, ...]:
        """Every measure, in the order in which the systems list them."""
        return tuple(dict.fromkeys(measure for scores in self.systems.values() for measure in scores))

    def comparison(self, treatment: str, control: str, measure: str) -> Comparison | None:
        """The comparison of two systems on a measure, or None when the file has none."""
        for one in self.comparisons:
            if (one.treatment, one.control, one.measure) == (treatment, control, measure):
                return one
        return None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A document in a list of results, or a relevant document (then without score)."""

    id: str
    text: str
    score: float | None = None
    relevant: bool = False


@dataclass(frozen=True, kw_only=True)
class Example:
    """A query with its score before and after training, and what both systems put on top."""

    query_id: str
    query: str
    before: float
    after: float
    relevant: tuple[Candidate, ...] = ()
    base: tuple[Candidate, ...] = ()
    tuned: tuple[Candidate, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Examples:
    """``evaluation/examples.json``: queries that gained most and lost most on ``measure``."""

    measure: str
    won: tuple[Example, ...] = ()
    lost: tuple[Example, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One logged number over training, in order of steps."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Training:
    """``training.jsonl``: the training loss, the dev curves by measure, and warnings that were given.

    ``train`` has every number of training steps by name, the loss among them.
    """

    loss: Curve
    dev: Mapping[str, Curve]
    warnings: tuple[str, ...] = ()
    train: Mapping[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class PerQuery:
    """``evaluation/per_query.parquet``: values by system and measure, aligned on the queries both systems have."""

    values: Mapping[tuple[str, str], Mapping[str, float]]

    def differences(self, treatment: str, control: str, measure: str) -> Float64[np.ndarray, " query"]:
        """``treatment`` minus ``control`` for each query that both have, descending; may be empty."""
        first = self.values.get((treatment, measure), {})
        second = self.values.get((control, measure), {})
        gaps = [value - second[query] for query, value in first.items() if query in second]
        return np.sort(np.asarray(gaps, dtype=np.float64))[::-1]


@dataclass(frozen=True, eq=False, kw_only=True)
class PairScores:
    """``evaluation/score_pairs.parquet``: similarities by system and kind of pair."""

    values: Mapping[tuple[str, str], Float64[np.ndarray, " _pair"]]


@dataclass(frozen=True, eq=False, kw_only=True)
class MapPoints:
    """The points of one system in ``evaluation/map.parquet``. A query and its document share ``pairs``."""

    kinds: tuple[str, ...]
    texts: tuple[str, ...]
    x: Float64[np.ndarray, " point"]
    y: Float64[np.ndarray, " point"]
    pairs: Int64[np.ndarray, " point"]


@dataclass(frozen=True, kw_only=True)
class Calibrations:
    """``evaluation/calibration.json``: what the scores of each system are good for."""

    systems: Mapping[str, Calibration]


@dataclass(frozen=True, kw_only=True)
class Geometries:
    """``evaluation/geometry.json``: the space of each system."""

    systems: Mapping[str, Geometry]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """Everything a run folder holds. A part is None when its file is missing, as after an interruption."""

    about: About | None
    config: str | None
    data: DataFacts | None
    training: Training | None
    scores: Scores | None
    per_query: PerQuery | None
    pair_scores: PairScores | None
    examples: Examples | None
    map: Mapping[str, MapPoints] | None
    calibration: Mapping[str, Calibration] | None
    geometry: Mapping[str, Geometry] | None
