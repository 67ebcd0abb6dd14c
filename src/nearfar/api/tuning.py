"""Tuning a model: ``train``."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.api.opening import Settings, name_of, open_encoder, read_data, settings_of
from nearfar.config.launch import Launch, fewer_than_asked_for
from nearfar.config.read import write_yaml
from nearfar.console import shown
from nearfar.data.split import split as split_data
from nearfar.data.tables import DEV, Dataset
from nearfar.encoders.locate import locate
from nearfar.errors import ConfigError
from nearfar.events import Message, Silent, Sink
from nearfar.training.folder import FINISHED, RunFolder, check_run, open_run
from nearfar.training.launch import first, meet
from nearfar.training.lock import locked


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Attributes:
        folder: the run folder; the tuned model is in ``model`` inside it, the page is ``report.html``.
        scores: what ``evaluation/scores.json`` holds: means, intervals, comparisons.
    """

    folder: Path
    scores: dict[str, Any]

    @property
    def model(self) -> Path:
        """The tuned model: opens with ``SentenceTransformer(path)``."""
        return self.folder / "model"

    @property
    def report(self) -> Path:
        """The page that shows the evidence."""
        return self.folder / "report.html"

    def difference(self, measure: str | None = None, treatment: str = "tuned", control: str = "base") -> dict[str, Any]:
        """One comparison: mean difference, interval, p-value; the first measure unless one is named.

        Raises:
            ConfigError: when it was not made.
        """
        for comparison in self.scores["comparisons"]:
            if (comparison["treatment"], comparison["control"]) == (treatment, control) and measure in (
                None,
                comparison["measure"],
            ):
                return dict(comparison)
        raise ConfigError(f"There is no comparison of {treatment} with {control} by {measure}.")


def train(
    data: Dataset | Path | str,
    *,
    model: Any,
    out: Path | str,
    config: Settings = None,
    settings: Sequence[str] = (),
    resume: bool = False,
    sink: Sink | None = None,
) -> TrainResult:
    """Tune a model on data and measure what that gave.

    Args:
        data: a path, a hub name, or tables.
        model: a name as in ``nearfar.encoders.locate``, or a trainable encoder of your own.
        out: the run folder; must be new or empty unless ``resume``.
        config: the settings.
        settings: overrides, such as ``["training.epochs=1"]``.
        resume: go on with the run that is in ``out``.
        sink: takes events; None shows bars when a terminal is watching.

    Raises:
        NearfarError: for data, settings or folders that will not do; nothing was changed then.
    """
    options, out, launch = settings_of(config, settings), Path(out), Launch.read()
    inputs = {"data": data.name if isinstance(data, Dataset) else str(data), "model": name_of(model)}
    located = locate(str(model)) if isinstance(model, str | Path) else None
    device = meet(launch, options.model.device if located is not None else str(getattr(model, "device", "cpu")))
    scores = first(launch, lambda: _scores_there(out, write_yaml(options), inputs, resume))
    if scores is not None:
        return TrainResult(out, scores)
    with shown(sink if launch.first else Silent()) as watched:
        if warning := fewer_than_asked_for():
            watched.emit(Message(text=warning, level="warning"))
        dataset = split_data(read_data(data, options.data, watched), options.data)
        if DEV not in dataset.qrels:
            raise ConfigError("Training needs a dev split to watch: set data.dev above 0, or bring a dev split.")
        for note in dataset.facts.notes:
            watched.emit(Message(text=note))

        from nearfar.training.encoder import check_encoder, check_fits
        from nearfar.training.inputs import check_inputs
        from nearfar.training.job import train_run

        check_inputs(dataset, options)
        encoder = model if located is None else open_encoder(located, options, device)
        check_encoder(encoder, options)
        check_fits(encoder, dataset, options)
        with locked(out) if launch.first else nullcontext():
            folder = first(launch, lambda: open_run(out, write_yaml(options), inputs, resume))
            return TrainResult(out, train_run(dataset, encoder, inputs["model"], options, folder, watched))


def _scores_there(out: Path, config: str, inputs: dict[str, str], resume: bool) -> dict[str, Any] | None:
    """Check that a run can start in a folder, or go on there; gives the scores when it has finished already."""
    check_run(out, config, inputs, resume)
    folder = RunFolder(out)
    return folder.read_scores() if folder.read_record().get("state") == FINISHED else None
