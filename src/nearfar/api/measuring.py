"""Measuring and using models: ``evaluate`` and ``search``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.api.opening import Settings, finished_run, name_of, open_encoder, read_data, settings_of
from nearfar.config.read import read_config
from nearfar.config.run import RunConfig
from nearfar.console import shown
from nearfar.data.split import split as split_data
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset
from nearfar.encoders.locate import locate
from nearfar.errors import ConfigError
from nearfar.events import Message, Sink
from nearfar.training.folder import check_new, read_run


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
    options = settings_of(config, settings)
    named = isinstance(model, str | Path)
    located = locate(str(model)) if named and str(model) != "bm25" else None
    folder = check_new(Path(out)) if out is not None else None
    with shown(sink) as watched:
        dataset = read_data(data, options.data, watched)
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
            systems = {name_of(model): evaluate_bm25(task, watched)}
        else:
            encoder = model if located is None else open_encoder(located, options)
            check_cuts(encoder, options.evaluation)
            measured = {name_of(model): evaluate_encoder(encoder, task, watched)}
            systems = with_cuts(measured, encoder.similarity, watched)
    scores = summary(systems, ()) if folder is None else write_results(folder, systems, ())
    return EvaluateResult(scores, folder)


def search(run: Path | str, query: str, *, k: int = 5, sink: Sink | None = None) -> dict[str, list[SearchHit]]:
    """Search the documents of a run, with the base and the tuned model: ``{"base": [...], "tuned": [...]}``.

    Raises:
        ConfigError: when there is no finished run in ``run``, or the query is empty.
    """
    folder = finished_run(Path(run))
    if not query.strip():
        raise ConfigError("The query is empty: give some words to search for.")
    if k < 1:
        raise ConfigError(f"k must be at least 1, got {k}.")
    record, options = folder.read_record(), read_config(folder.config)
    with shown(sink) as watched:
        dataset = split_data(read_data(record["data"], options.data, watched), options.data)

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


def _config_of_run(model: Any, data: Any) -> RunConfig | None:
    """The settings of the run that made a model, when it was trained on the data of this name; else None."""
    if not isinstance(model, str | Path):
        return None
    for path in (Path(model), Path(model).parent):
        if (path / "run.json").is_file():
            folder = read_run(path)
            return read_config(folder.config) if folder.read_record().get("data") == str(data) else None
    return None
