"""Asking why a run is not better: ``diagnose``."""

from pathlib import Path

from nearfar.api.opening import read_data
from nearfar.config.read import read_config
from nearfar.console import shown
from nearfar.data.content import data_hash
from nearfar.data.split import split as split_data
from nearfar.data.tables import Dataset
from nearfar.diagnosing.diagnosis import Diagnosis
from nearfar.errors import ConfigError, NearfarError
from nearfar.events import Sink
from nearfar.training.folder import FINISHED, MINE, RunFolder, read_run

_TOLD = ("name", "model", "data", "state", "created", "objective", "seed", "steps", "trained_steps", "best_step")
"""Of the record of a run, what a diagnosis repeats."""


def diagnose(
    run: Path | str,
    *,
    data: Dataset | Path | str | None = None,
    against: Path | str | None = None,
    out: Path | str | None = None,
    sink: Sink | None = None,
) -> Diagnosis:
    """Look for what is wrong with a run of ``train``: causes, each from a measurement.

    A run that is unfinished, or whose data or model has moved or changed, is looked at as far as it is there.

    Args:
        run: its folder.
        data: where its data is now, or its tables; None takes the place that the run recorded.
        against: another run, such as the one before: what differs in settings, measurements and scores is said too.
        out: a folder for diagnosis.json and diagnosis.html, which replaces what is there; None writes nothing.
        sink: takes events.

    Returns:
        The verdicts on all causes; ``named`` has those that were found.

    Raises:
        ConfigError: ``run`` or ``against`` is no folder of a training run.
        DataError: a file of the run is broken, or ``data`` was given and cannot be read.
    """
    folders = [_training_run(Path(path)) for path in (run, against) if path is not None]
    with shown(sink) as watched:
        known: dict[str, Dataset | str] = {}
        tables = [_tables(folder, data, known, watched) for folder in folders]

        from nearfar.diagnosing.changes import changes
        from nearfar.diagnosing.diagnose import verdicts
        from nearfar.diagnosing.material import Material
        from nearfar.files import write_json, write_text
        from nearfar.reports.diagnosis import PAGE, render
        from nearfar.reports.folder import read_run as read_files

        materials = [
            Material(folder, read_files(folder.path), read_config(folder.config), table, watched)
            for folder, table in zip(folders, tables, strict=True)
        ]
        found = [verdicts(material) for material in materials]
        record = folders[0].read_record()
        diagnosis = Diagnosis(
            run={name: record[name] for name in _TOLD if name in record},
            verdicts=found[0],
            notes=tuple(_notes(folders[0], tables[0])),
            changes=changes(materials[1], materials[0], found[1], found[0]) if against is not None else None,
        )
        if out is not None:
            write_json(Path(out) / "diagnosis.json", diagnosis.as_dict())
            write_text(Path(out) / PAGE, render(diagnosis.as_dict()))
    return diagnosis


def _training_run(path: Path) -> RunFolder:
    folder = read_run(path)
    if folder.read_record().get("job") == MINE:
        raise ConfigError(f"{path} is the folder of a mining job, and diagnose takes one that nearfar train wrote.")
    if not folder.config.is_file():
        raise ConfigError(f"{path} has no config.yaml, so it is not known how it was trained.")
    return folder


def _tables(
    folder: RunFolder, data: Dataset | Path | str | None, known: dict[str, Dataset | str], sink: Sink
) -> Dataset | str:
    """The data of a run with its splits, or the reason why it cannot be had. ``known`` is what was read before."""
    record, options = folder.read_record(), read_config(folder.config).data
    wanted = str(record.get("data_hash", ""))
    if wanted in known:
        return known[wanted]
    try:
        dataset = split_data(read_data(record["data"] if data is None else data, options, sink), options)
    except NearfarError as error:
        if data is not None:
            raise
        return f"The data cannot be read: {str(error).rstrip('.')}. Where it is now can be said with --data."
    if data_hash(dataset) != wanted:
        return f"{dataset.facts.source} is not the data of this run, or has changed since."
    known[wanted] = dataset
    return dataset


def _notes(folder: RunFolder, tables: Dataset | str) -> list[str]:
    state = folder.read_record().get("state")
    notes = [] if state == FINISHED else ["The run is not finished: what is there was looked at."]
    return [*notes, *([tables] if isinstance(tables, str) else [])]
