"""The jobs as functions: train, evaluate, search, explain. The command line is a thin shell over these.

PyTorch is imported inside, after everything that can be checked without it: a wrong path or setting answers at once.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.config.data import DataOptions
from nearfar.config.launch import Launch, fewer_than_asked_for
from nearfar.config.read import override, read_config, write_yaml
from nearfar.config.run import RunConfig
from nearfar.console import shown
from nearfar.data.load import load as load_data
from nearfar.data.split import split as split_data
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset
from nearfar.encoders.locate import Located, locate
from nearfar.errors import ConfigError
from nearfar.events import Message, Silent, Sink
from nearfar.training.folder import FINISHED, RunFolder, check_new, check_run, open_run, read_run
from nearfar.training.launch import first, meet
from nearfar.training.lock import locked

Settings = RunConfig | Path | str | None
"""A configuration, or a YAML file that holds one, or None for the defaults."""


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


@dataclass(frozen=True, kw_only=True)
class SearchHit:
    """One document that a search found: its id, its text and its score."""

    id: str
    text: str
    score: float


@dataclass(frozen=True)
class EvaluateResult:
    """What an evaluation gave: the content of ``scores.json``, and the folder it was written to, if any."""

    scores: dict[str, Any]
    folder: Path | None = None


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
    options, out, launch = _settings(config, settings), Path(out), Launch.read()
    inputs = {"data": data.name if isinstance(data, Dataset) else str(data), "model": _name_of(model)}
    located = locate(str(model)) if isinstance(model, str | Path) else None
    device = meet(launch, options.model.device if located is not None else str(getattr(model, "device", "cpu")))
    scores = first(launch, lambda: _scores_there(out, write_yaml(options), inputs, resume))
    if scores is not None:
        return TrainResult(out, scores)
    with shown(sink if launch.first else Silent()) as watched:
        if warning := fewer_than_asked_for():
            watched.emit(Message(text=warning, level="warning"))
        dataset = split_data(_load(data, options.data, watched), options.data)
        if DEV not in dataset.qrels:
            raise ConfigError("Training needs a dev split to watch: set data.dev above 0, or bring a dev split.")
        for note in dataset.facts.notes:
            watched.emit(Message(text=note))

        from nearfar.training.encoder import check_encoder, check_fits
        from nearfar.training.job import check_inputs, train_run

        check_inputs(dataset, options)
        encoder = model if located is None else _open(located, options, device)
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


def evaluate(
    model: Any,
    data: Dataset | Path | str,
    *,
    split: str | None = None,
    out: Path | str | None = None,
    config: Settings = None,
    settings: Sequence[str] = (),
    sink: Sink | None = None,
) -> EvaluateResult:
    """Measure how well a model finds the relevant documents.

    Args:
        model: a name as in ``nearfar.encoders.locate``, ``bm25``, or an encoder.
        data: a path, a hub name, or tables.
        split: which queries; None takes test, else dev, else all. Data without splits is split for it as in training,
            and when the model is that of a run on the same data, its test split is taken.
        out: a new folder for scores.json, per_query.parquet and the TREC run file; None writes nothing.
        config: the settings; ``data``, ``model`` and ``evaluation`` count.
        settings: overrides, such as ``["evaluation.depth=1000"]``.
        sink: takes events.

    Raises:
        NearfarError: for data, settings or folders that will not do.
    """
    options = _settings(config, settings)
    named = isinstance(model, str | Path)
    located = locate(str(model)) if named and str(model) != "bm25" else None
    folder = check_new(Path(out)) if out is not None else None
    with shown(sink) as watched:
        dataset = _load(data, options.data, watched)
        if dataset.splits == (UNSPLIT,):
            trained = _config_of_run(model, data) if split is None else None
            if trained is not None:
                watched.emit(Message(text="The model was trained on this data: measuring the test split of its run."))
                dataset = split_data(dataset, trained.data)
            elif split in (TRAIN, DEV, TEST):
                dataset = split_data(dataset, options.data)

        from nearfar.evaluation.evaluate import (
            Task,
            check_cuts,
            evaluate_bm25,
            evaluate_encoder,
            summary,
            with_cuts,
            write_results,
        )

        task = Task.of(dataset, split, options.evaluation)
        if named and located is None:
            systems = {_name_of(model): evaluate_bm25(task, watched)}
        else:
            encoder = model if located is None else _open(located, options)
            check_cuts(encoder, options.evaluation)
            measured = {_name_of(model): evaluate_encoder(encoder, task, watched)}
            systems = with_cuts(measured, encoder.similarity, watched)
    scores = summary(systems, ()) if folder is None else write_results(folder, systems, ())
    return EvaluateResult(scores, folder)


def search(run: Path | str, query: str, *, k: int = 5, sink: Sink | None = None) -> dict[str, list[SearchHit]]:
    """Search the documents of a run, with the base and the tuned model: ``{"base": [...], "tuned": [...]}``.

    Raises:
        ConfigError: when there is no finished run in ``run``, or the query is empty.
    """
    folder = _finished(Path(run))
    if not query.strip():
        raise ConfigError("The query is empty: give some words to search for.")
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}.")
    record, options = folder.read_record(), read_config(folder.config)
    with shown(sink) as watched:
        dataset = split_data(_load(record["data"], options.data, watched), options.data)

        from nearfar.training.search import search_run

        found = search_run(folder, dataset, options, query, k)
    texts = dataset.documents
    return {
        system: [
            SearchHit(id=texts.id(int(row)), text=texts.text(int(row)), score=float(score))
            for row, score in zip(hits.documents[0], hits.scores[0], strict=True)
        ]
        for system, hits in found.items()
    }


def explain(
    names: Sequence[str], *, run: Path | str | None = None, out: Path | str = "explain.html", sink: Sink | None = None
) -> Path:
    """Write a page about what objectives do with a pair, beside one another; gives its path.

    Args:
        names: text forms, such as ``["InfoNCE", "DCL(temperature=0.05)"]``.
        run: a finished run, in whose training batches the objectives are weighed as well.
        out: the page; an older one that this function wrote is replaced, anything else is left alone.
        sink: takes events.

    Raises:
        ConfigError: for an unknown objective or setting, a folder that is not a finished run, or an objective that
            needs what a run does not have.
        ResourceError: when the page cannot be written.
    """
    if not names:
        raise ConfigError("Name at least one objective, such as InfoNCE. nearfar explain --list shows all of them.")
    folder = None if run is None else _finished(Path(run))

    from nearfar.objectives.registry import parse
    from nearfar.reports.explain import RunPairs, check_page, write_explanation

    page = check_page(Path(out))
    if folder is None:
        return write_explanation([parse(name) for name in names], page)

    from nearfar.training.objective import trainable_objective
    from nearfar.training.weights import weigh_run

    record, options = folder.read_record(), read_config(folder.config)
    objectives = list(dict.fromkeys(trainable_objective(name, options) for name in names))
    with shown(sink) as watched:
        dataset = split_data(_load(record["data"], options.data, watched), options.data)
        weighed, batches = weigh_run(folder, dataset, options, objectives, watched)
    return write_explanation(
        objectives,
        page,
        RunPairs(
            name=record.get("name", folder.path.name),
            model=f"the model tuned from {record['model_name']}",
            batches=batches,
            size=options.batches.size,
            pairs={str(objective): pairs for objective, pairs in zip(objectives, weighed, strict=True)},
        ),
    )


def _finished(run: Path) -> RunFolder:
    """The folder of a run that has trained to the end.

    Raises:
        ConfigError: when there is none.
    """
    folder = read_run(run)
    if not folder.model.is_dir():
        raise ConfigError(
            f"The run in {folder.path} has not trained to the end. Go on with it: nearfar train --resume."
        )
    return folder


def _settings(config: Settings, overrides: Sequence[str]) -> RunConfig:
    return override(config, overrides) if isinstance(config, RunConfig) else read_config(config, overrides)


def _load(data: Dataset | Path | str, options: DataOptions, sink: Sink) -> Dataset:
    """Tables of which it is known which pairs are relevant.

    Raises:
        ConfigError: when the pairs are graded and nobody said from which grade on they are relevant.
    """
    dataset = data if isinstance(data, Dataset) else load_data(data, options, sink)
    if dataset.facts.layout == "scored" and options.positive_from is None and dataset.positive_from == 1.0:
        grades = np.concatenate([qrels.grade for qrels in dataset.qrels.values()])
        raise ConfigError(
            f"{dataset.facts.source}: the pairs have grades from {grades.min():g} to {grades.max():g}, and nothing "
            "says which are relevant. Give the lowest relevant grade: --set data.positive_from=GRADE."
        )
    return dataset


def _config_of_run(model: Any, data: Any) -> RunConfig | None:
    """The settings of the run that made a model, when it was trained on the data of this name; else None."""
    if not isinstance(model, str | Path):
        return None
    for path in (Path(model), Path(model).parent):
        if (path / "run.json").is_file():
            folder = read_run(path)
            return read_config(folder.config) if folder.read_record().get("data") == str(data) else None
    return None


def _name_of(model: Any) -> str:
    return str(model) if isinstance(model, str | Path) else type(model).__name__


def _open(located: Located, options: RunConfig, device: str | None = None) -> Any:
    from nearfar.encoders.load import load
    from nearfar.engine.embed import resolve_precision

    encoder = load(
        located,
        prompts=options.model.prompts,
        max_length=options.model.max_length,
        similarity=options.model.similarity,
        device=device or options.model.device,
        seed=options.training.seed,
    )
    encoder.precision = resolve_precision(options.evaluation.precision, encoder.device)
    return encoder
