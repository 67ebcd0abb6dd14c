"""Comparing systems over data sets and seeds, or finished runs with one another: ``compare``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nearfar.api.opening import open_encoder, read_data
from nearfar.config.comparison import ComparisonConfig, FinishedOptions, read_comparison
from nearfar.config.read import override, read_options
from nearfar.console import shown
from nearfar.errors import ConfigError
from nearfar.evaluation.comparison import Comparison
from nearfar.events import Sink
from nearfar.training.folder import check_new

Compared = ComparisonConfig | Path | str | Sequence[Path | str]
"""What is compared: a file or its content, or the folders of finished runs."""


def compare(
    what: Compared,
    *,
    out: Path | str | None = None,
    settings: Sequence[str] = (),
    resume: bool = False,
    sink: Sink | None = None,
) -> Comparison:
    """Compare recipes and models over data sets and seeds, or runs that are finished already.

    Args:
        what: a YAML file of a comparison, or its settings; or two folders or more, of training runs (whose tuned model
            counts) or of ``evaluate --out``.
        out: the folder of the results: for a comparison it must be given, and be new or empty unless ``resume``; for
            finished runs None writes nothing.
        settings: overrides, such as ``["seeds=3", "data.cosqa.path=/data/cosqa", "base.training.epochs=1"]``; for
            finished runs ``name``, ``baseline``, ``measure`` and ``confidence``.
        resume: go on with the comparison that is in ``out``. Runs that are finished there and still asked for are used,
            failed ones are tried again; systems, data sets, seeds and budget may be others than before.
        sink: takes events; None shows bars when a terminal is watching.

    Returns:
        Everything that can be said from what is finished, which is also in ``comparison.json``.

    Raises:
        NearfarError: for settings, data, models or folders that will not do; nothing was trained then.
    """
    folders = _folders(what)
    if folders is not None:
        return _compare_finished(folders, out, settings)
    config = _config(what, settings)
    if out is None:
        raise ConfigError("A comparison needs a folder for its results: give out, or --out on the command line.")

    from nearfar.comparing.job import check_folder

    check_folder(Path(out), resume)
    with shown(sink) as watched:
        from nearfar.comparing.whole import compare_systems

        comparison = compare_systems(config, Path(out), _opening(), watched)
    _write_page(Path(out))
    return comparison


def plan_comparison(
    what: Compared, *, out: Path | str | None = None, settings: Sequence[str] = (), sink: Sink | None = None
) -> tuple[Any, ...]:
    """The runs that a comparison has, in their order, each a ``comparing.job.Planned``. Nothing is trained or written.

    Everything is checked: settings, data, models.

    Args:
        what: a YAML file of a comparison, or its settings.
        out: the folder of an earlier part of it, from which it is known what is finished and how long runs take.
        settings: overrides.
        sink: takes events.

    Raises:
        NearfarError: for settings, data or models that will not do.
    """
    if _folders(what) is not None:
        raise ConfigError("Finished runs need no plan: they are compared at once. Give a YAML file of a comparison.")
    config = _config(what, settings)
    with shown(sink) as watched:
        from nearfar.comparing.job import plan

        return plan(config, Path(out) if out is not None else None, _opening(), watched)[1]


def _folders(what: Compared) -> list[Path] | None:
    """The folders of finished runs; None where a comparison is meant."""
    if isinstance(what, ComparisonConfig):
        return None
    paths = [Path(each).expanduser() for each in ([what] if isinstance(what, Path | str) else what)]
    if len(paths) != 1:
        return paths
    if paths[0].is_dir():
        raise ConfigError(
            f"{paths[0]} is a folder. Give two folders of finished runs or more, or a YAML file of a comparison."
        )
    return None


def _config(what: Compared, settings: Sequence[str]) -> ComparisonConfig:
    if isinstance(what, ComparisonConfig):
        return override(what, settings)
    path = Path(what if isinstance(what, Path | str) else what[0]).expanduser()
    return read_comparison(path, settings)


def _compare_finished(folders: list[Path], out: Path | str | None, settings: Sequence[str]) -> Comparison:
    options = read_options(FinishedOptions, None, settings)
    folder = check_new(Path(out)) if out is not None else None

    from nearfar.comparing.assemble import assemble
    from nearfar.comparing.finished import evidence_of
    from nearfar.comparing.output import write_files

    evidence = evidence_of(folders, options)
    comparison = assemble(evidence, lambda name: None)
    if folder is not None:
        write_files(folder, comparison, evidence)
        _write_page(folder)
    return comparison


def _opening() -> Any:
    from nearfar.comparing.material import Opening

    return Opening(data=read_data, encoder=open_encoder)


def _write_page(folder: Path) -> None:
    from nearfar.reports.comparison import write_page

    write_page(folder)
