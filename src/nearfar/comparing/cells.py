"""A cell of a comparison: one system on one data set with one seed, and what was measured in it.

A cell has a folder of its own, named by everything that its values follow from. It is written as a whole or not at all,
so what is there counts, whatever has happened to the job that wrote it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from jaxtyping import Float64

from nearfar.config.comparison import Arm
from nearfar.errors import ResourceError
from nearfar.files import replace_folder, write_json

FINISHED, FAILED = "finished", "failed"
RECORD, VALUES, MODEL = "cell.json", "per_query.parquet", "model"
QUERY_ID, FIRST = "query_id", "first_document"
"""Columns of the values of a cell beside its measures."""
_FORM = 1
"""Of a cell's folder. A change of what is measured changes it, so that older cells are not taken for new ones."""
_NOT_IN_A_NAME = re.compile(r"[^\w.+-]+")
_WITHOUT_EFFECT = ("tracking", "data")
"""Sections that do not decide what is measured; the content of the data stands for its settings."""


@dataclass(frozen=True, kw_only=True)
class CellCost:
    """What a cell has cost; see ``evaluation.comparison.Cost``. None is not known."""

    train_seconds: float | None = None
    cpu_seconds: float | None = None
    texts: float | None = None
    tokens: float | None = None
    peak_memory: float | None = None
    parameters: float | None = None
    dimensions: float | None = None
    encode_seconds: float | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """What a system does for each query.

    Attributes:
        queries: ids.
        measures: names.
        values: the value of each measure.
        first: id of the first document that was found for each query, empty where there is none; nothing where
            documents are not known.
        cost: of it.
    """

    queries: tuple[str, ...]
    measures: tuple[str, ...]
    values: Float64[np.ndarray, "query measure"]
    first: tuple[str, ...] = ()
    cost: CellCost = CellCost()

    def of(self, measure: str) -> dict[str, float]:
        """One measure by query id."""
        column = self.values[:, self.measures.index(measure)]
        return dict(zip(self.queries, column.tolist(), strict=True))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell that is to be done.

    Attributes:
        arm: the system on the data set.
        seed: of training; None where nothing is trained.
        fingerprint: of everything that its values follow from.
    """

    arm: Arm
    seed: int | None
    fingerprint: str

    @property
    def key(self) -> tuple[str, str, int | None]:
        """System, data set and seed."""
        return self.arm.system, self.arm.data_set, self.seed

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.arm.system} on {self.arm.data_set}" + ("" if self.seed is None else f", seed {self.seed}")

    @property
    def folder_name(self) -> str:
        """Of its folder: readable, and its own by the fingerprint at the end."""
        parts = (self.arm.system, self.arm.data_set, *([] if self.seed is None else [f"seed{self.seed}"]))
        return "--".join([*(_NOT_IN_A_NAME.sub("_", part) for part in parts), self.fingerprint])


def cell_of(arm: Arm, seed: int | None, data: str, model: str) -> Cell:
    """A cell with its fingerprint.

    Args:
        arm: the system on the data set.
        seed: of training.
        data: hash of the data.
        model: what stands for the content of the model that is measured or trained.
    """
    options = arm.seeded(seed).model_dump(mode="json", exclude=set(_WITHOUT_EFFECT))
    for name in ("confidence", "resamples"):
        del options["evaluation"][name]  # of intervals, which are computed later
    content = {"form": _FORM, "kind": arm.kind, "model": model, "data": data, "split": arm.split, "options": options}
    digest = hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=8)
    return Cell(arm=arm, seed=seed, fingerprint=digest.hexdigest())


class Cells:
    """The cells in the folder of a comparison.

    Args:
        folder: that has one folder for each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = {path.name.rpartition("--")[2]: path for path in folder.glob("*--*") if path.is_dir()}

    def __len__(self) -> int:
        return len(self._places)

    @property
    def fingerprints(self) -> frozenset[str]:
        """Of all cells that are there."""
        return frozenset(self._places)

    def record(self, cell: Cell) -> dict[str, Any] | None:
        """What is known of a cell: its state, what it took, and for a failed one why; None where it is not there."""
        return None if cell.fingerprint not in self._places else _read_record(self._places[cell.fingerprint])

    def measured(self, cell: Cell) -> Measured:
        """What a finished cell holds.

        Raises:
            ResourceError: it is damaged.
        """
        path = self._places[cell.fingerprint]
        try:
            table = parquet.read_table(path / VALUES)
            measures = tuple(name for name in table.column_names if name not in (QUERY_ID, FIRST))
            cost = _read_record(path)["cost"]
            return Measured(
                queries=tuple(table[QUERY_ID].to_pylist()),
                measures=measures,
                values=np.stack([table[name].to_numpy() for name in measures], axis=1).astype(np.float64),
                first=tuple(table[FIRST].to_pylist()),
                cost=CellCost(**{field.name: cost[field.name] for field in fields(CellCost)}),
            )
        except (OSError, pa.ArrowException, KeyError) as error:
            raise _damaged(path, error) from error

    def finish(
        self, cell: Cell, measured: Measured, about: Mapping[str, Any], model: Callable[[Path], object] | None
    ) -> None:
        """Write a finished cell; ``model`` fills the folder of its model, where that is kept."""

        def write(folder: Path) -> None:
            columns = {QUERY_ID: pa.array(measured.queries, pa.string())}
            columns |= {name: pa.array(measured.values[:, at]) for at, name in enumerate(measured.measures)}
            columns[FIRST] = pa.array(measured.first, pa.string())
            parquet.write_table(pa.table(columns), folder / VALUES, compression="zstd")
            if model is not None:
                (folder / MODEL).mkdir()
                model(folder / MODEL)
            write_json(folder / RECORD, {**_about(cell), **about, "state": FINISHED, "cost": asdict(measured.cost)})

        self._write(cell, write)

    def fail(self, cell: Cell, reason: str, about: Mapping[str, Any]) -> None:
        """Write down that a cell has failed, and why."""
        record = {**_about(cell), **about, "state": FAILED, "reason": reason}
        self._write(cell, lambda folder: write_json(folder / RECORD, record))

    def _write(self, cell: Cell, write: Callable[[Path], None]) -> None:
        path = self._places.get(cell.fingerprint, self._folder / cell.folder_name)
        replace_folder(path, write)
        self._places[cell.fingerprint] = path


def _about(cell: Cell) -> dict[str, Any]:
    return {
        "system": cell.arm.system,
        "data_set": cell.arm.data_set,
        "seed": cell.seed,
        "kind": cell.arm.kind,
        "model": cell.arm.model,
        "settings": cell.arm.seeded(cell.seed).model_dump(mode="json"),
    }


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((path / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    return record


def _damaged(path: Path, error: Exception) -> ResourceError:
    return ResourceError(f"The cell {path} is damaged ({error}). Remove this folder, and --resume does it again.")
