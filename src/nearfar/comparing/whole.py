"""A comparison from settings to files: the job, and what can be said from what it has finished."""

from pathlib import Path

from nearfar.comparing.assemble import assemble
from nearfar.comparing.cells import FINISHED
from nearfar.comparing.job import Done, do_job, plan
from nearfar.comparing.material import Opening
from nearfar.comparing.output import write_files
from nearfar.comparing.selection import Evidence
from nearfar.config.comparison import ComparisonConfig, measure_of, summary_of
from nearfar.data.tables import Dataset
from nearfar.evaluation.comparison import Comparison, System
from nearfar.evaluation.measures import parse_measures
from nearfar.events import Sink
from nearfar.training.lock import locked


def compare_systems(config: ComparisonConfig, folder: Path, opening: Opening, sink: Sink) -> Comparison:
    """Do what is missing, up to the budget, and write what can be said from what is finished.

    Raises:
        NearfarError: for settings, data or models that will not do: nothing was written then. And as ``do_job``.
    """
    material, planned = plan(config, folder, opening, sink)

    def read(data_set: str) -> tuple[Dataset, str]:
        arm = next(arm for (_, on), arm in material.arms.items() if on == data_set)
        return material.dataset(arm), material.task(arm).split

    with locked(folder):
        done = do_job(config, folder, material, planned, sink)
        evidence = _evidence(config, done)
        comparison = assemble(evidence, read, _go_on(config, done))
        write_files(folder, comparison, evidence)
    return comparison


def _evidence(config: ComparisonConfig, done: Done) -> Evidence:
    arms = done.material.arms
    kinds = {system: arm.kind for (system, _), arm in arms.items()}
    finished = [cell for cell in done.planned if (done.cells.record(cell) or {}).get("state") == FINISHED]
    return Evidence(
        name=config.name or "comparison",
        measure=str(parse_measures((measure_of(config),))[0]),
        confidence=next(iter(arms.values())).options.evaluation.confidence,
        baseline=config.baseline,
        systems=tuple(
            System(name=name, kind=kinds[name], settings=summary_of(config, name)) for name in config.systems
        ),
        data_sets=done.material.described(config),
        seeds=config.seeds if "recipe" in kinds.values() else (),
        measured={cell.key: done.cells.measured(cell) for cell in finished},
        gaps=done.gaps,
    )


def _go_on(config: ComparisonConfig, done: Done) -> str:
    """What finishes the rest; empty where there is none."""
    if not done.gaps:
        return ""
    if not done.spent_up:
        return "Failed runs are tried again by the same command with --resume."
    limits = [
        f"--set budget.{name}={more}"
        for name, more in (
            ("minutes", None if config.budget.minutes is None else f"{2 * config.budget.minutes:g}"),
            ("runs", None if config.budget.runs is None else len(done.planned)),
        )
        if more is not None
    ]
    return f"The budget is used up. To go on, add --resume to the same command with a larger one: {' '.join(limits)}"
