"""Runs that are finished already, as systems of a comparison: run folders, and folders of ``evaluate --out``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from nearfar.comparing.cells import CellCost, Measured
from nearfar.comparing.selection import Evidence
from nearfar.config.comparison import FinishedOptions
from nearfar.errors import ConfigError, DataError, did_you_mean, first_few
from nearfar.evaluation.comparison import ComparedData, System
from nearfar.evaluation.evaluate import TUNED
from nearfar.evaluation.results import COLUMNS
from nearfar.statistics.values import same_queries

_SCORES, _VALUES, _RECORD = "scores.json", "per_query.parquet", "run.json"


def evidence_of(folders: Sequence[Path], options: FinishedOptions) -> Evidence:
    """What finished runs say about one another.

    Args:
        folders: of training runs, whose tuned model counts, or of ``evaluate --out``.
        options: what decides, and against what.

    Raises:
        ConfigError: a folder holds no measured values, fewer than two are given, or there is no such measure or
            baseline.
        DataError: they answered different queries, searched different corpora, or a file is damaged.
    """
    if len(folders) < 2:
        raise ConfigError(f"Two runs at least are compared, got {first_few(folders) or 'none'}.")
    names = _names(folders)
    scores = {name: _scores(folder) for name, folder in zip(names, folders, strict=True)}
    measured = {name: _measured(folder, scores[name]) for name, folder in zip(names, folders, strict=True)}
    measures = [
        name for name in measured[names[0]].measures if all(name in each.measures for each in measured.values())
    ]
    measure = _one_of(measures, options.measure, "measure", "measure that all runs have")
    if options.baseline is not None:
        _one_of(names, options.baseline, "baseline", "run")
    same_queries({name: each.of(measure) for name, each in measured.items()})
    first = scores[names[0]]
    for name, each in scores.items():
        if each["documents"] != first["documents"]:
            raise DataError(
                f"{names[0]!r} searched {first['documents']} documents and {name!r} {each['documents']}. Measure both "
                "on the same corpus."
            )
    source = next((str(record["data"]) for folder in folders if "data" in (record := _record(folder))), "")
    data = ComparedData(
        name=Path(source).name or "data",
        source=source,
        split=first["split"],
        queries=first["queries"],
        documents=first["documents"],
    )
    return Evidence(
        name=options.name or " and ".join(names),
        measure=measure,
        confidence=options.confidence,
        baseline=options.baseline,
        systems=tuple(
            System(name=name, kind="run", settings=_settings(folder, scores[name]))
            for name, folder in zip(names, folders, strict=True)
        ),
        data_sets=(data,),
        seeds=(),
        measured={(name, data.name, None): each for name, each in measured.items()},
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    for depth in range(1, 4):
        names = ["/".join(folder.absolute().parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    twice = [str(folder) for place, folder in enumerate(folders) if folder in folders[:place]]
    if twice:
        raise ConfigError(f"{first_few(twice)} is given twice. A run does not differ from itself.")
    return [str(folder) for folder in folders]


def _one_of(known: Sequence[str], wanted: str | None, key: str, what: str) -> str:
    if not known:
        raise ConfigError(f"There is no {what}.")
    if wanted is not None and wanted not in known:
        raise ConfigError(
            f"{key}: there is no {what} {wanted!r}.{did_you_mean(wanted, known)} Known: {first_few(known)}."
        )
    return wanted or known[0]


def _place(folder: Path) -> Path:
    """Where the results of a run are: in ``evaluation`` of a training run, else in the folder itself."""
    return folder / "evaluation" if (folder / _RECORD).is_file() else folder


def _scores(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        siblings = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise ConfigError(f"There is no folder {folder}.{did_you_mean(folder.name, siblings)}")
    path = _place(folder) / _SCORES
    if not path.is_file():
        hint = (
            "It has not trained to the end; go on with nearfar train --resume."
            if (folder / _RECORD).is_file()
            else "nearfar train writes such a folder, and nearfar evaluate --out."
        )
        raise ConfigError(f"{folder} holds no measured values: there is no {path.name} in it. {hint}")
    scores = _json(path)
    if "systems" not in scores:
        raise ConfigError(
            f"{folder} holds results of tasks other than retrieval. Runs are compared by measures of each query; for "
            "tasks see nearfar.evaluation.tasks.outcome.changes."
        )
    return scores


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}). Run the job that wrote it again.") from error
    return content


def _record(folder: Path) -> dict[str, Any]:
    return _json(folder / _RECORD) if (folder / _RECORD).is_file() else {}


def _system(folder: Path, scores: dict[str, Any]) -> str:
    """The system of a folder that counts: the tuned model of a training run, or the one that was measured."""
    return TUNED if (folder / _RECORD).is_file() else str(next(iter(scores["systems"])))


def _settings(folder: Path, scores: dict[str, Any]) -> str:
    record = _record(folder)
    return str(record.get("objective", "")) if record else _system(folder, scores)


def _measured(folder: Path, scores: dict[str, Any]) -> Measured:
    path, system, record = _place(folder) / _VALUES, _system(folder, scores), _record(folder)
    try:
        table = parquet.read_table(path, columns=list(COLUMNS))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read: {error}. Run the job that wrote it again.") from error
    table = table.filter(pa.compute.equal(table["system"], system))
    by_measure: dict[str, dict[str, float]] = {}
    for query, measure, value in zip(*(table[name].to_pylist() for name in COLUMNS[:3]), strict=True):
        by_measure.setdefault(measure, {})[query] = value
    queries = tuple(next(iter(by_measure.values()), {}))
    if not queries or any(values.keys() != set(queries) for values in by_measure.values()):
        raise DataError(f"{path} must hold each measure of each query of {system!r}. Run the job that wrote it again.")
    return Measured(
        queries=queries,
        measures=tuple(by_measure),
        values=np.array([[values[query] for values in by_measure.values()] for query in queries], np.float64),
        cost=CellCost(
            train_seconds=record.get("seconds", {}).get("train"),
            parameters=float(record["parameters"]) if "parameters" in record else None,
        ),
    )
