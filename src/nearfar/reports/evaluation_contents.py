"""What the page of an evaluation is made from: the files that ``nearfar evaluate --out`` wrote, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from nearfar.errors import DataError
from nearfar.evaluation.calibrated import Calibration
from nearfar.evaluation.space import Geometry
from nearfar.reports.contents import Calibrations, Candidate, Geometries, PerQuery, Scores
from nearfar.reports.folder import read_json, read_per_query, read_table

SCORES, EXAMPLES = "scores.json", "examples.json"
PER_QUERY, PER_ITEM = "per_query.parquet", "per_item.parquet"
CALIBRATION, GEOMETRY = "calibration.json", "geometry.json"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An item with its values; ``texts`` is empty for what has none, such as an episode."""

    id: str
    values: tuple[float, ...]
    text: str = ""
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A query with what was sought and the first documents that were found."""

    id: str
    query: str
    value: float
    relevant: tuple[Candidate, ...]
    found: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class QueryExamples:
    """``examples.json`` of a retrieval: queries by the first measure, and those at both ends. ``queries`` is of all."""

    measures: tuple[str, ...]
    queries: int
    listed: tuple[Listed, ...]
    worst: tuple[Shown, ...]
    best: tuple[Shown, ...]


@dataclass(frozen=True, kw_only=True)
class ItemExamples:
    """The worst items of a task. ``items`` is of all; ``by`` says what is worst."""

    task: str
    unit: str
    items: int
    columns: tuple[str, ...]
    by: str
    listed: tuple[Listed, ...]


@dataclass(frozen=True, kw_only=True)
class TaskExamples:
    """``examples.json`` of tasks."""

    tasks: tuple[ItemExamples, ...]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One measure of one task, with its interval over ``n`` units."""

    system: str
    task: str
    measure: str
    value: float
    low: float
    high: float
    n: int
    unit: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """``scores.json`` of tasks."""

    split: str
    kind: str
    confidence: float
    results: tuple[Result, ...]
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def systems(self) -> tuple[str, ...]:
        """The names of the systems; the first is the model as it is, others have shorter vectors."""
        return tuple(dict.fromkeys(one.system for one in self.results))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks in their order."""
        return tuple(dict.fromkeys(one.task for one in self.results))


@dataclass(frozen=True, eq=False, kw_only=True)
class Retrieved:
    """An evaluation of a search. What is not there is None."""

    name: str
    scores: Scores
    per_query: PerQuery | None
    examples: QueryExamples | None
    calibration: Mapping[str, Calibration]
    geometry: Mapping[str, Geometry]


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """An evaluation of tasks. ``columns`` has the values of the items of the first system by task and column."""

    name: str
    results: Results
    examples: TaskExamples | None
    columns: Mapping[tuple[str, str], Float64[np.ndarray, " _item"]]


def read_evaluation(folder: Path) -> Retrieved | Measured:
    """What an evaluation wrote into a folder.

    Raises:
        DataError: there are no scores in the folder, or one of its files is broken.
    """
    scores = read_json(folder / SCORES, dict)
    if scores is None:
        raise DataError(
            f"{folder} holds no evaluation: there is no {SCORES}. Give the folder that nearfar evaluate --out wrote."
        )
    if "results" in scores:
        results = read_json(folder / SCORES, Results)
        assert results is not None
        return Measured(
            name=folder.name,
            results=results,
            examples=read_json(folder / EXAMPLES, TaskExamples),
            columns=_columns(folder / PER_ITEM, results.systems[:1]),
        )
    retrieved = read_json(folder / SCORES, Scores)
    assert retrieved is not None
    calibration, geometry = read_json(folder / CALIBRATION, Calibrations), read_json(folder / GEOMETRY, Geometries)
    return Retrieved(
        name=folder.name,
        scores=retrieved,
        per_query=read_per_query(folder / PER_QUERY),
        examples=read_json(folder / EXAMPLES, QueryExamples),
        calibration=calibration.systems if calibration is not None else {},
        geometry=geometry.systems if geometry is not None else {},
    )


def _columns(path: Path, systems: Sequence[str]) -> dict[tuple[str, str], Float64[np.ndarray, " _item"]]:
    table = read_table(path, {"task": str, "column": str, "value": float, "system": str})
    if table is None:
        return {}
    values: dict[tuple[str, str], list[float]] = {}
    for task, column, value, system in zip(*table.values(), strict=True):
        if system in systems:
            values.setdefault((task, column), []).append(value)
    return {key: np.asarray(column, dtype=np.float64) for key, column in values.items()}
