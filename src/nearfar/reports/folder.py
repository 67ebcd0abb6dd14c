"""Reading a run folder.

A missing file is normal (a run that was interrupted) and gives None. A file that is there but broken is an error
that names the file, the place in it and what was expected.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from pydantic import TypeAdapter, ValidationError

from nearfar.errors import DataError, did_you_mean, first_few
from nearfar.reports.contents import (
    About,
    Calibrations,
    Curve,
    DataFacts,
    Examples,
    Geometries,
    MapPoints,
    PairScores,
    PerQuery,
    Run,
    Scores,
    Training,
)

RUN, CONFIG, DATA, TRAINING = "run.json", "config.yaml", "data.json", "training.jsonl"
SCORES, EXAMPLES = "evaluation/scores.json", "evaluation/examples.json"
PER_QUERY, PAIR_SCORES, MAP = (
    "evaluation/per_query.parquet",
    "evaluation/score_pairs.parquet",
    "evaluation/map.parquet",
)
CALIBRATION, GEOMETRY = "evaluation/calibration.json", "evaluation/geometry.json"
FILES = (RUN, CONFIG, DATA, TRAINING, SCORES, EXAMPLES, PER_QUERY, PAIR_SCORES, MAP, CALIBRATION, GEOMETRY)

Value = TypeVar("Value")


def read_run(folder: Path) -> Run:
    """Read whatever files of a run ``folder`` has.

    Raises:
        DataError: the folder does not exist, holds no file of a run, or one of its files is broken.
    """
    if not folder.is_dir():
        beside = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise DataError(
            f"{folder} is not a folder; expected the folder of a training run.{did_you_mean(folder.name, beside)}"
        )
    if not any((folder / name).is_file() for name in FILES):
        raise DataError(
            f"{folder} holds no training run: expected at least one of {', '.join(FILES)}; "
            f"found {first_few(sorted(path.name for path in folder.iterdir())) or 'an empty folder'}. "
            "Give the folder that the training run wrote."
        )
    config = folder / CONFIG
    calibration, geometry = read_json(folder / CALIBRATION, Calibrations), read_json(folder / GEOMETRY, Geometries)
    return Run(
        about=read_json(folder / RUN, About),
        config=_text(config) if config.is_file() else None,
        data=read_json(folder / DATA, DataFacts),
        training=_training(folder / TRAINING),
        scores=read_json(folder / SCORES, Scores),
        per_query=read_per_query(folder / PER_QUERY),
        pair_scores=_pair_scores(folder / PAIR_SCORES),
        examples=read_json(folder / EXAMPLES, Examples),
        map=_map(folder / MAP),
        calibration=calibration.systems if calibration is not None else None,
        geometry=geometry.systems if geometry is not None else None,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, byte {error.start}: expected UTF-8 text. Run the job that wrote this file again."
        ) from None


def read_json(path: Path, kind: type[Value]) -> Value | None:
    """The file as a value of ``kind``, or None when it is missing."""
    if not path.is_file():
        return None
    try:
        content = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}, column {error.colno}: expected JSON ({error.msg}). "
            "Run the job that wrote this file again, or remove the file to leave its section out."
        ) from None
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "top level"
        got = first["input"] if first["type"] != "missing" else "nothing"
        raise DataError(
            f"{path}, at {place}: {first['msg'].lower()}, got {str(got)[:80]!r}. "
            "Run the job that wrote this file again, or remove the file to leave its section out."
        ) from None


def _training(path: Path) -> Training | None:
    """The log. Its last line may be cut short, as when the run was killed; any other broken line is an error."""
    if not path.is_file():
        return None
    lines = _text(path).splitlines()
    records: list[Mapping[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise DataError(
                f"{path}, line {number}, column {error.colno}: expected a JSON object ({error.msg}). "
                "Remove the line, or remove the file to leave its section out."
            ) from None
        if not isinstance(record, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, got {line[:80]!r}. Remove the line.")
        records.append(record)
    warnings = tuple(str(record.get("message", "")) for record in records if record.get("level") == "warning")
    train = _curves(path, records, "train")
    dev = {name: curve for name, curve in _curves(path, records, "dev").items() if name not in NOT_MEASURES}
    return Training(loss=train.get("loss", Curve(steps=(), values=())), dev=dev, warnings=warnings, train=train)


NOT_MEASURES = ("epoch", "learning_rate", "seconds", "tokens")


def _curves(path: Path, records: list[Mapping[str, Any]], group: str) -> dict[str, Curve]:
    """Every number that the records of a group hold, over steps. A step that was logged twice keeps the later."""
    found: dict[str, dict[int, float]] = {}
    for record in records:
        if record.get("group") != group:
            continue
        step = record.get("step")
        if not isinstance(step, int):
            raise DataError(f"{path}: expected a whole number as 'step' in every {group} line, got {step!r}.")
        for name, value in record.items():
            if name not in ("step", "group") and isinstance(value, int | float):
                found.setdefault(name, {})[step] = float(value)
    return {
        name: Curve(steps=tuple(sorted(points)), values=tuple(points[step] for step in sorted(points)))
        for name, points in found.items()
    }


def read_table(path: Path, columns: Mapping[str, type]) -> dict[str, list[Any]] | None:
    """The columns of a parquet file as lists, cast to the given types, or None when it is missing."""
    if not path.is_file():
        return None
    try:
        table = parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: expected a parquet file ({str(error).splitlines()[0]}). "
            "Run the job that wrote this file again, or remove the file to leave its section out."
        ) from None
    for name in columns:
        if name not in table.column_names:
            raise DataError(
                f"{path}: expected the columns {', '.join(columns)}, got {', '.join(table.column_names)}; "
                f"{name!r} is missing.{did_you_mean(name, table.column_names)}"
            )
    try:
        return {name: [kind(value) for value in table[name].to_pylist()] for name, kind in columns.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: a value is missing or of the wrong kind ({error}). Write the file again.") from None


def read_per_query(path: Path) -> PerQuery | None:
    """The values of every query by system and measure, or None when the file is missing."""
    table = read_table(path, {"query_id": str, "system": str, "measure": str, "value": float})
    if table is None:
        return None
    values: dict[tuple[str, str], dict[str, float]] = {}
    for query, system, measure, value in zip(*table.values(), strict=True):
        values.setdefault((system, measure), {})[query] = value
    return PerQuery(values=values)


def _pair_scores(path: Path) -> PairScores | None:
    table = read_table(path, {"system": str, "kind": str, "score": float})
    if table is None:
        return None
    values: dict[tuple[str, str], list[float]] = {}
    for system, kind, score in zip(*table.values(), strict=True):
        if np.isfinite(score):
            values.setdefault((system, kind), []).append(score)
    return PairScores(values={key: np.asarray(scores, dtype=np.float64) for key, scores in values.items()})


def _map(path: Path) -> dict[str, MapPoints] | None:
    table = read_table(path, {"system": str, "kind": str, "text": str, "x": float, "y": float, "pair": int})
    if table is None:
        return None
    systems = dict.fromkeys(table["system"])
    return {
        system: _points(table, [at for at, name in enumerate(table["system"]) if name == system]) for system in systems
    }


def _points(table: Mapping[str, list[Any]], rows: list[int]) -> MapPoints:
    """The given rows of the map's table."""
    return MapPoints(
        kinds=tuple(table["kind"][row] for row in rows),
        texts=tuple(table["text"][row] for row in rows),
        x=np.asarray([table["x"][row] for row in rows], dtype=np.float64),
        y=np.asarray([table["y"][row] for row in rows], dtype=np.float64),
        pairs=np.asarray([table["pair"][row] for row in rows], dtype=np.int64),
    )
