"""A comparison as one job: cells one by one, in an order that leaves a balanced table wherever it is cut off.

The first seed of all systems on all data sets comes first, then the second. What is finished stays finished: the same
job goes on after a kill, with a larger budget, or with other systems, and uses every cell that is still asked for.
"""

import gc
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nearfar.comparing.cells import FAILED, FINISHED, Cell, Cells, cell_of
from nearfar.comparing.material import Material, Opening
from nearfar.comparing.work import do_cell
from nearfar.config.comparison import Arm, Budget, ComparisonConfig, arms, read_comparison
from nearfar.config.launch import Launch
from nearfar.config.read import write_yaml
from nearfar.errors import ConfigError, NearfarError, ResourceError, first_few
from nearfar.evaluation.comparison import Gap
from nearfar.events import Event, Message, Metrics, Progress, Sink
from nearfar.files import write_text
from nearfar.training.folder import check_new, tells_how_to_go_on
from nearfar.training.job import Stopped
from nearfar.training.lock import LOCK, check_unlocked
from nearfar.training.watch import ended_as_interrupted

CONFIG, CELLS, WORK = "comparison.yaml", "cells", "work"
_TASK = "Comparing"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A cell in its place.

    Attributes:
        cell: what is to be done.
        state: ``finished``, ``failed`` or ``to do``.
        seconds: that it took; for one to do, what it will take by what is known of others; None where nothing is.
    """

    cell: Cell
    state: str
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a job leaves.

    Attributes:
        material: data and models.
        cells: the folder of the cells.
        planned: all of them, in order.
        gaps: those without a result.
        spent_up: whether the budget has ended it.
    """

    material: Material
    cells: Cells
    planned: tuple[Cell, ...]
    gaps: tuple[Gap, ...]
    spent_up: bool


def check_folder(folder: Path, resume: bool) -> None:
    """Make sure that a comparison can start in a folder, or go on there. Changes nothing.

    Raises:
        ResourceError: when it holds something else, or a comparison and ``resume`` is not wanted, or is in use.
    """
    check_unlocked(folder)
    if not (folder.is_dir() and any(entry.name != LOCK for entry in folder.iterdir())):
        check_new(folder)
    elif not (folder / CONFIG).is_file():
        raise ResourceError(
            f"{folder} is not empty and holds no comparison. Nothing was changed; choose another --out."
        )
    elif not resume:
        raise ResourceError(
            f"{folder} already holds a comparison. Nothing was changed. Go on with it by adding --resume, or choose "
            "another --out."
        )


def plan(
    config: ComparisonConfig, folder: Path | None, opening: Opening, sink: Sink
) -> tuple[Material, tuple[Planned, ...]]:
    """Check everything, and say which cells there are and what is known of them. Nothing is written.

    Raises:
        NearfarError: for settings, data or models that will not do.
    """
    if Launch.read().several:
        raise ConfigError("A comparison runs in one process. Start it without torchrun.")
    material = Material(arms=arms(config), opening=opening, sink=sink)
    material.check()
    planned = tuple(
        cell_of(arm, seed, material.data_hash(arm), material.model_hash(arm))
        for arm, seed in _order(config, material.arms)
    )
    cells = Cells(folder / CELLS) if folder is not None else None
    records = {cell.key: record for cell in planned if cells is not None and (record := cells.record(cell)) is not None}
    took = {key: float(record["seconds"]) for key, record in records.items()}
    return material, tuple(
        Planned(
            cell=cell,
            state=records[cell.key]["state"] if cell.key in records else "to do",
            seconds=took.get(cell.key, expected(cell, planned, took)),
        )
        for cell in planned
    )


@tells_how_to_go_on()
@ended_as_interrupted()
def do_job(config: ComparisonConfig, folder: Path, material: Material, found: Sequence[Planned], sink: Sink) -> Done:
    """Do what is missing of a plan, up to the budget. The caller has locked the folder.

    A cell that fails is written down with its message, and does not end the job; the next start tries it again.

    Raises:
        Stopped: when interrupted; the same job goes on.
        ResourceError: when something cannot be written; likewise.
    """
    planned, cells = tuple(each.cell for each in found), Cells(folder / CELLS)
    _tell_changes(config, folder, planned, cells, sink)
    write_text(folder / CONFIG, write_yaml(config))
    took = {each.cell.key: each.seconds for each in found if each.state != "to do" and each.seconds is not None}
    spent_up = _work(config, folder, material, planned, cells, took, sink)
    gaps = tuple(gap for cell in planned if (gap := _gap(cell, cells, spent_up)) is not None)
    with suppress(OSError):  # not empty: a failed run keeps its folder
        (folder / WORK).rmdir()
    return Done(material=material, cells=cells, planned=planned, gaps=gaps, spent_up=spent_up)


def expected(cell: Cell, planned: Sequence[Cell], took: Mapping[tuple[str, str, int | None], float]) -> float | None:
    """Seconds that a cell will take: the mean of its other seeds, else of others of its kind on its data set."""
    others = [(other, took[other.key]) for other in planned if other.key in took]
    same = [seconds for other, seconds in others if other.key[:2] == cell.key[:2]]
    alike = [seconds for other, seconds in others if other.key[1] == cell.key[1] and other.arm.kind == cell.arm.kind]
    known = same or alike
    return sum(known) / len(known) if known else None


def _order(config: ComparisonConfig, found: Mapping[tuple[str, str], Arm]) -> list[tuple[Arm, int | None]]:
    """Arms with their seeds: seed by seed, and what is not trained once, in the first round."""
    order: list[tuple[Arm, int | None]] = []
    for number, seed in enumerate(config.seeds):
        for arm in found.values():
            if arm.kind == "recipe":
                order.append((arm, seed))
            elif number == 0:
                order.append((arm, None))
    return order


def _work(
    config: ComparisonConfig,
    folder: Path,
    material: Material,
    planned: Sequence[Cell],
    cells: Cells,
    took: dict[tuple[str, str, int | None], float],
    sink: Sink,
) -> bool:
    """Do the cells that are not finished; gives whether the budget has ended it."""
    finished = {cell.key for cell in planned if _state(cells, cell) == FINISHED}
    spent = {key: seconds for key, seconds in took.items() if key in finished}  # a failed one is tried anew
    for place, cell in enumerate(planned):
        sink.emit(Progress(task=_TASK, done=place, total=len(planned)))
        if cell.key in finished:
            continue
        if _used_up(config.budget, spent, expected(cell, planned, spent) or 0.0):
            sink.emit(Progress(task=_TASK, done=len(planned), total=len(planned)))
            return True
        spent[cell.key] = _do(config, cell, folder, material, cells, _Within(sink, cell))
    sink.emit(Progress(task=_TASK, done=len(planned), total=len(planned)))
    return False


def _used_up(budget: Budget, spent: Mapping[tuple[str, str, int | None], float], next_one: float) -> bool:
    """Whether there is no room for one more run; one that is expected to end too late is not begun."""
    too_many = budget.runs is not None and len(spent) >= budget.runs
    return too_many or (budget.minutes is not None and sum(spent.values()) + next_one > 60 * budget.minutes)


def _do(config: ComparisonConfig, cell: Cell, folder: Path, material: Material, cells: Cells, sink: Sink) -> float:
    """Do a cell and write it down; gives the seconds that it took."""
    work, start = folder / WORK / cell.folder_name, time.perf_counter()
    if _state(cells, cell) == FAILED:
        shutil.rmtree(work, ignore_errors=True)
    try:
        measured, encoder = do_cell(cell, material, work, sink)
    except (Stopped, ResourceError):
        raise
    except Exception as error:  # whatever a recipe does, the others are to be measured
        reason = str(error) if isinstance(error, NearfarError) else f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        cells.fail(cell, reason, {"seconds": seconds})
        sink.emit(Message(text=f"failed: {reason}", level="warning"))
        return seconds
    seconds = time.perf_counter() - start
    keep = encoder.save if config.keep_models and encoder is not None and cell.arm.kind == "recipe" else None
    cells.finish(cell, measured, {"seconds": seconds}, keep)
    shutil.rmtree(work, ignore_errors=True)
    del encoder
    gc.collect()  # a trainer is a circle of references, and holds its model until then
    return seconds


def _state(cells: Cells, cell: Cell) -> str | None:
    record = cells.record(cell)
    return None if record is None else str(record["state"])


def _gap(cell: Cell, cells: Cells, spent_up: bool) -> Gap | None:
    record = cells.record(cell)
    if record is not None and record["state"] == FINISHED:
        return None
    system, data_set, seed = cell.key
    if record is None:
        reason = "the budget was used up before" if spent_up else "not done yet"
        return Gap(system=system, data_set=data_set, seed=seed, state="missing", reason=reason)
    return Gap(system=system, data_set=data_set, seed=seed, state="failed", reason=str(record["reason"]))


def _tell_changes(config: ComparisonConfig, folder: Path, planned: Sequence[Cell], cells: Cells, sink: Sink) -> None:
    """Say what is there already, and how the comparison differs from what it was."""
    there = sum(_state(cells, cell) == FINISHED for cell in planned)
    if there:
        sink.emit(Message(text=f"{there} of {len(planned)} runs are finished already."))
    unused = len(cells.fingerprints - {cell.fingerprint for cell in planned})
    if unused:
        sink.emit(Message(text=f"{unused} runs of earlier settings stay in {folder / CELLS} and are not used."))
    if not (folder / CONFIG).is_file():
        return
    before = read_comparison(folder / CONFIG)
    for what, old, new in (
        ("Systems", before.systems, config.systems),
        ("Data sets", before.data, config.data),
        ("Seeds", before.seeds, config.seeds),
    ):
        added, dropped = [each for each in new if each not in old], [each for each in old if each not in new]
        changes = [f"added {first_few(added)}"] * bool(added) + [f"dropped {first_few(dropped)}"] * bool(dropped)
        if changes:
            sink.emit(Message(text=f"{what}: {'; '.join(changes)}."))


@dataclass(frozen=True)
class _Within:
    """Passes on what happens in a cell: messages with its name, progress as it is, numbers of training not at all."""

    sink: Sink
    cell: Cell

    def emit(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Message):
            self.sink.emit(Message(text=f"{self.cell.title}: {event.text}", level=event.level))
        elif not isinstance(event, Metrics):
            self.sink.emit(event)
