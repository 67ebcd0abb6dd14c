"""Measuring and using models: ``evaluate`` and ``search``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.api.opening import (
    Settings,
    check_relevance,
    finished_run,
    name_of,
    open_encoder,
    read_data,
    read_tables,
    settings_of,
)
from nearfar.config.read import read_config
from nearfar.config.run import RunConfig
from nearfar.console import shown
from nearfar.data.split import split as split_data
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset
from nearfar.encoders.locate import locate
from nearfar.errors import ConfigError
from nearfar.events import Message, Sink
from nearfar.files import write_json
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
    data: Any,
    *,
    split: str | None = None,
    task: Any = None,
    out: Path | str | None = None,
    config: Settings = None,
    settings: Sequence[str] = (),
    sink: Sink | None = None,
) -> EvaluateResult:
    """Measure what a model is good for: finding relevant documents, or what else its data asks for.

    What is measured follows from the data unless ``task`` says so: graded pairs give STS, pairs with labels of 0 and 1
    PairClassification, triplets Triplets, lists of candidates Reranking, texts with a label KNN, Probe and Clustering,
    texts with lists of labels MultiLabel, everything else Retrieval. Graded pairs of which ``data.positive_from`` says
    which are relevant give Retrieval too, and ``bm25`` knows nothing else.

    Args:
        model: a name as in ``nearfar.encoders.locate``, ``bm25``, or an encoder.
        data: a path, a hub name, or tables; or a task of mteb, as an object or as ``mteb:NAME``, which says what is
            measured and brings its data.
        split: which queries; None takes test, else dev, else all. Data without splits is split for it as in training,
            and when the model is that of a run on the same data, its test split is taken.
        task: a task or its text form, such as ``KNN`` or ``FewShot(shots=1)``, or several; ``Retrieval`` searches.
        out: a new folder for scores.json, per_query.parquet and the TREC run file, or for tasks per_item.parquet, with
            examples.json and the page report.html; None writes nothing.
        config: the settings; ``data``, ``model`` and ``evaluation`` count.
        settings: overrides, such as ``["evaluation.depth=1000"]``.
        sink: takes events.

    Raises:
        NearfarError: for data, settings or folders that will not do.
    """
    options = settings_of(config, settings)
    if _is_mteb(data):
        return _run_mteb(data, task, model, split, options, out, sink)
    named = isinstance(model, str | Path)
    located = locate(str(model)) if named and str(model) != "bm25" else None
    folder = check_new(Path(out)) if out is not None else None
    with shown(sink) as watched:
        dataset = read_tables(data, options.data, watched)
        tasks = _tasks(task, str(model) if located is None and named else "", dataset, split, options)
        if not tasks or any(each.needs_relevance for each in tasks):
            check_relevance(dataset, options.data)
        if dataset.splits == (UNSPLIT,):
            trained = _config_of_run(model, data) if split is None else None
            if trained is not None:
                watched.emit(Message(text="The model was trained on this data: measuring the test split of its run."))
                dataset = split_data(dataset, trained.data)
            elif split in (TRAIN, DEV, TEST) or any(each.needs_train for each in tasks):
                dataset = split_data(dataset, options.data)
        if tasks:
            encoder = model if located is None else open_encoder(located, options)
            return _run_tasks(tasks, encoder, name_of(model), dataset, split, options, folder, watched)

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
            measured = {name_of(model): evaluate_encoder(encoder, task, watched, calibrate=folder is not None)}
            systems = with_cuts(measured, encoder.similarity, watched)
    if folder is None:
        return EvaluateResult(summary(systems, ()))

    from nearfar.evaluation.extremes import query_examples

    scores = write_results(folder, systems, ())
    first = systems[name_of(model)]
    examples = query_examples(dataset, task.split, first.scores, first.found, seed=task.seed)
    return _with_page(folder, scores, examples)


def _tasks(task: Any, model: str, dataset: Dataset, split: str | None, options: RunConfig) -> tuple[Any, ...]:
    """The tasks that were named, else those that suit the data; none for retrieval.

    Raises:
        ConfigError: a task is unknown, or needs vectors, which BM25 has not.
    """
    from nearfar.evaluation.tasks.registry import DEFAULTS, kind_of, tasks_named
    from nearfar.evaluation.tasks.setting import default_split

    if task is not None:
        tasks = tasks_named(task if isinstance(task, list | tuple) else [task])
        if tasks and model == "bm25":
            raise ConfigError(f"bm25 has no vectors, which {tasks[0]} needs. It can only be measured in Retrieval.")
        return tasks
    relevance_known = options.data.positive_from is not None or dataset.positive_from != 1.0
    if model == "bm25" or (dataset.facts.layout == "scored" and relevance_known):
        return ()
    known = split if split is not None and split in dataset.qrels else default_split(dataset)
    return DEFAULTS[kind_of(dataset, known)]


def _run_tasks(
    tasks: tuple[Any, ...],
    encoder: Any,
    name: str,
    dataset: Dataset,
    split: str | None,
    options: RunConfig,
    folder: Path | None,
    sink: Sink,
) -> EvaluateResult:
    """Measure an encoder in tasks other than retrieval."""
    from nearfar.evaluation.evaluate import check_cuts
    from nearfar.evaluation.tasks.registry import kind_of
    from nearfar.evaluation.tasks.run import run_tasks, task_summary, write_outcomes
    from nearfar.evaluation.tasks.setting import default_split

    check_cuts(encoder, options.evaluation)
    chosen = default_split(dataset) if split is None else split
    systems = run_tasks(tasks, encoder, dataset, chosen, options.evaluation, name=name, sink=sink)
    scores = task_summary(systems, str(kind_of(dataset, chosen)), chosen)
    if folder is None:
        return EvaluateResult(scores)

    from nearfar.evaluation.extremes import item_examples

    write_outcomes(folder, systems, scores)
    return _with_page(folder, scores, item_examples(systems[name], dataset, chosen))


def _is_mteb(data: Any) -> bool:
    """Whether what was given as data is a task of mteb, or the name of one."""
    if isinstance(data, str):
        return data.startswith("mteb:")
    return any(each.__module__.startswith("mteb.") for each in type(data).__mro__)


def _run_mteb(
    mteb_task: Any,
    task: Any,
    model: Any,
    split: str | None,
    options: RunConfig,
    out: Path | str | None,
    sink: Sink | None,
) -> EvaluateResult:
    """Measure an encoder in a task of mteb, which brings its data."""
    from nearfar.evaluation.mteb import run_mteb, task_named
    from nearfar.evaluation.tasks.run import task_summary, write_outcomes

    if task is not None:
        raise ConfigError(f"A task of mteb is a task itself: leave out task, got {task!r}.")
    if str(model) == "bm25":
        raise ConfigError("bm25 has no vectors, which tasks of mteb need.")
    if options.evaluation.truncate:
        raise ConfigError("evaluation.truncate does not apply to tasks of mteb. Leave it out.")
    if isinstance(mteb_task, str):
        task_named(mteb_task)  # a wrong name answers before a model is opened
    name, folder = name_of(model), check_new(Path(out)) if out is not None else None
    confidence, resamples = options.evaluation.confidence, options.evaluation.resamples
    with shown(sink) as watched:
        encoder = open_encoder(locate(str(model)), options) if isinstance(model, str | Path) else model
        found = run_mteb(
            mteb_task, encoder, split=split, name=name, confidence=confidence, resamples=resamples, sink=watched
        )
    systems = {name: (found.outcome,)}
    kind = f"task of mteb {found.record['mteb_version']}"
    scores = {**task_summary(systems, kind, ", ".join(found.record["scores"])), "mteb": [found.record]}
    if folder is None:
        return EvaluateResult(scores)
    write_outcomes(folder, systems, scores)
    return _with_page(folder, scores, None)


def _with_page(folder: Path, scores: dict[str, Any], examples: dict[str, Any] | None) -> EvaluateResult:
    """Write examples.json, where there are examples, and the page beside what was written already."""
    from nearfar.reports.evaluation import write_page
    from nearfar.reports.evaluation_contents import EXAMPLES

    if examples is not None:
        write_json(folder / EXAMPLES, examples)
    write_page(folder)
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
