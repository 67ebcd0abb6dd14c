"""A training run from data to evidence: the base model measured, the model tuned, measured again, and reported.

Each stage leaves its result in the run folder and is skipped when it is there already, so that a run that was stopped
goes on where it was.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from safetensors import SafetensorError

from nearfar.config.run import RunConfig
from nearfar.data.content import data_hash
from nearfar.data.facts import describe
from nearfar.data.tables import Dataset
from nearfar.encoders.fingerprint import encoder_hash
from nearfar.encoders.module import ModuleEncoder
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.engine.embed import resolve_precision
from nearfar.engine.ranks import Ranks
from nearfar.engine.together import first, same
from nearfar.errors import ConfigError, DataError, NearfarError, ResourceError
from nearfar.evaluation.evaluate import (
    BASE,
    BM25_NAME,
    TUNED,
    Evaluation,
    Task,
    cut_name,
    evaluate_bm25,
    evaluate_encoder,
    with_cuts,
    write_results,
)
from nearfar.evaluation.evidence import examples, score_pairs, space_map
from nearfar.events import Fanout, JsonLines, Message, Metrics, Sink
from nearfar.files import atomic, replace_folder, write_json
from nearfar.reports.page import write_report
from nearfar.training.arguments import training_arguments
from nearfar.training.card import write_card
from nearfar.training.checkpoints import Found, drop_incomplete_checkpoints, find_usable, of_other_ranks
from nearfar.training.curves import cut_curves
from nearfar.training.dev import DevSearch
from nearfar.training.encoder import ready
from nearfar.training.environment import environment
from nearfar.training.folder import FINISHED, Onlooker, RunFolder, tells_how_to_go_on
from nearfar.training.loop import RetrievalTrainer
from nearfar.training.objective import (
    compares_with_earlier,
    prepared_objective,
    step_of,
    weighs,
)
from nearfar.training.pairs import training_pairs
from nearfar.training.rates import learning_rate
from nearfar.training.refresh import refresh_of
from nearfar.training.sharded import Parted, is_sharded, sharding_arguments, switch_put_back
from nearfar.training.steps import steps_of_run
from nearfar.training.teacher import prepare_teacher
from nearfar.training.trackers import tracked
from nearfar.training.watch import Watch, ended_as_interrupted, stop_on_interrupt

Trainable = SentenceTransformerEncoder | ModuleEncoder
COMPARED = ((TUNED, BASE), (TUNED, BM25_NAME), (BASE, BM25_NAME))


class Stopped(NearfarError):  # noqa: N818  # not an error: the user asked for it
    """Training was interrupted and saved; ``step`` is the last one done."""

    def __init__(self, step: int) -> None:
        super().__init__(
            f"Stopped after step {step}; everything up to there is saved. To go on, add --resume to the same command."
        )
        self.step = step


@dataclass(kw_only=True)
class Run:
    """A run under way: its inputs, its folder, and how long each part took."""

    dataset: Dataset
    encoder: Trainable
    config: RunConfig
    folder: RunFolder
    sink: Sink
    seconds: dict[str, float] = field(default_factory=dict)
    trackers: tuple[Sink, ...] = ()

    @property
    def task(self) -> Task:
        """What is measured before and after."""
        return Task.of(self.dataset, None, self.config.evaluation, self.config.training.seed)

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """Do ``work`` and add its time to ``part``."""
        start = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start


@tells_how_to_go_on()
@ended_as_interrupted()
def train_run(
    dataset: Dataset, encoder: Trainable, model_name: str, config: RunConfig, folder: RunFolder, sink: Sink
) -> dict[str, Any]:
    """Run every stage that the folder lacks; gives the content of ``evaluation/scores.json``.

    Args:
        dataset: with the splits train, dev and test.
        encoder: the base model; trained in place.
        model_name: what to call the base model.
        config: the settings.
        folder: opened for this configuration.
        sink: takes events.

    Raises:
        Stopped: when interrupted; the run can go on later.
        ResourceError: when something cannot be written; likewise.
    """
    start = time.perf_counter()
    if Ranks.current().world > 1 and not same(data_hash(dataset)):
        raise DataError("The processes of this run have read different data. Give all machines the same files.")
    if not Ranks.current().first:  # trains with the others; measuring and writing are for the first process
        fit(Run(dataset=dataset, encoder=encoder, config=config, folder=Onlooker(folder.path), sink=sink))
        return first(dict)
    run = Run(dataset=dataset, encoder=encoder, config=config, folder=folder, sink=sink)
    run.seconds = dict(folder.read_record().get("seconds", {}))
    before = run.seconds.get("total", 0.0)
    _record_start(run, model_name)
    base = run.timed("evaluate", lambda: _measure(run, BASE))
    try:
        with tracked(config, folder, Fanout((sink, JsonLines(folder.curves)))) as run.trackers:
            run.timed("train", lambda: fit(run))
    finally:
        with suppress(ResourceError):  # on a full disk, what went wrong before says more
            folder.update_record(seconds={**run.seconds, "total": before + time.perf_counter() - start})
    systems = run.timed(
        "evaluate", lambda: {BM25_NAME: evaluate_bm25(run.task, sink), BASE: base, TUNED: _measure(run, TUNED)}
    )
    systems = run.timed("evaluate", lambda: with_cuts(systems, encoder.similarity, sink))
    scores: dict[str, Any] = run.timed("report", lambda: _write_evidence(run, systems))
    run.seconds["total"] = before + time.perf_counter() - start
    folder.update_record(seconds=run.seconds)
    write_card(run.folder, run.encoder, dataset, scores)
    write_report(folder.path)
    folder.update_record(state=FINISHED)
    return first(lambda: scores)


def fit(run: Run) -> None:
    """Train, choose the best checkpoint by the dev search, and write the model folder.

    Raises:
        Stopped: when interrupted.
    """
    folder, config, encoder = run.folder, run.config, run.encoder
    leads = Ranks.current().first
    if first(folder.model.is_dir):
        if leads:
            _restore(run)
        return
    device = encoder.device
    precision = resolve_precision(config.training.precision, device)
    encoder.precision = precision
    teacher = prepare_teacher(folder.teacher, run.dataset, encoder, config, run.sink)
    objective = prepared_objective(config, encoder, run.dataset, teacher)
    readied = ready(encoder, config)
    pairs = training_pairs(run.dataset, config, weighs(objective), compares_with_earlier(objective))
    dev = DevSearch(run.dataset, config.dev, config.training.seed)
    steps = steps_of_run(config, len(pairs))
    sharding = sharding_arguments(config, encoder) if is_sharded(config) else None
    rate = learning_rate(config, encoder)
    arguments = training_arguments(config, steps, folder.checkpoints, rate, device, sharding)
    found, start_score = _start(run, dev)
    folder.update_record(
        steps=steps,
        precision=precision,
        learning_rate=arguments.learning_rate,
        train_pairs=len(pairs),
        processes=Ranks.current().world,
        **readied.record,
    )
    refresh = refresh_of(folder.mined, run.dataset, encoder, config, len(pairs), pairs.use, run.sink)
    parted = None if sharding is None else Parted(encoder)
    step = step_of(encoder if parted is None else parted.twin, objective, config, teacher)
    with switch_put_back():
        trainer = RetrievalTrainer(step, pairs, dev, config, arguments, run.sink, refresh)
        watch = next(callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Watch))
        with stop_on_interrupt(watch), closing(refresh or ExitStack()):
            trainer.run(found.path)
    if parted is not None:
        parted.come_back()
    state = trainer.state
    if watch.interrupted:
        raise Stopped(state.global_step)
    readied.finish()
    _warn_if_worse(run, start_score, float(state.best_metric or 0.0), dev.measure)
    folder.update_record(
        best_step=state.best_global_step,
        trained_steps=state.global_step,
        stopped="early" if state.global_step < steps else "at the end",
        tuned_hash=encoder_hash(encoder),
    )
    if leads:
        _save_model(run)  # last: where it is, training is over


def _start(run: Run, dev: DevSearch) -> tuple[Found, float]:
    """The checkpoint to go on from, and the dev score of the base model; from here on the sink keeps the curves."""
    found = first(lambda: _settle(run.folder))
    if Ranks.current().first:
        run.sink = Fanout((run.sink, JsonLines(run.folder.curves), *run.trackers))
    for note in found.notes:
        run.sink.emit(Message(text=note, level="warning"))
    score = first(lambda: dev(run.encoder))
    if found.path is None:
        run.sink.emit(Metrics(step=0, group="dev", values={dev.measure: score}))
    return found, score


def _settle(folder: RunFolder) -> Found:
    """The checkpoint to go on from; what was half-written, and what the curves say beyond it, is gone afterwards."""
    drop_incomplete_checkpoints(folder.checkpoints)
    found = of_other_ranks(find_usable(folder.checkpoints), Ranks.current().world)
    cut_curves(folder.curves, found.step)
    return found


def _save_model(run: Run) -> None:
    try:
        replace_folder(run.folder.model, run.encoder.save)
    except (ResourceError, SafetensorError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ResourceError(
            f"Cannot write the model {run.folder.model}: {reason}. Training is done and its checkpoints are intact: "
            "free space and run the same command with --resume."
        ) from error


def _record_start(run: Run, model_name: str) -> None:
    record, config = run.folder.read_record(), run.config
    hashes = {"data_hash": data_hash(run.dataset)}
    if not run.folder.model.is_dir():
        hashes["base_hash"] = encoder_hash(run.encoder)
    for name, value in hashes.items():
        if name in record and record[name] != value:
            what = "data" if name == "data_hash" else "base model"
            raise ConfigError(f"{run.folder.path} was started with another {what}: its content has changed since then.")
    write_json(run.folder.data, describe(run.dataset))
    run.folder.update_record(
        **hashes,
        name=run.folder.path.name,
        model_name=model_name,
        created=record.get("created", datetime.now(UTC).isoformat(timespec="seconds")),
        environment=environment(),
        objective=config.objective,
        seed=config.training.seed,
        batch_size=config.batches.size,
        parameters=sum(parameter.numel() for parameter in run.encoder.parameters()),
        state="training",
    )


def _measure(run: Run, system: str) -> Evaluation:
    """Measure the encoder as it is now; its document vectors stay in the run folder for searching."""
    precision = run.encoder.precision
    run.encoder.precision = resolve_precision(run.config.evaluation.precision, run.encoder.device)
    keep = run.folder.evaluation / f"{system}.documents.npy"
    try:
        return evaluate_encoder(run.encoder, run.task, run.sink, keep, calibrate=True)
    finally:
        run.encoder.precision = precision


def _restore(run: Run) -> None:
    """Load the weights that an earlier part of this run wrote."""
    if not isinstance(run.encoder, SentenceTransformerEncoder):
        raise ConfigError(
            "A run of a module of your own cannot go on after training: it has finished training already."
        )
    from nearfar.encoders.load import load

    tuned = load(str(run.folder.model), device=str(run.encoder.device))
    if run.config.model.adapter.rank is not None and not run.config.model.adapter.merge:
        run.encoder.model = tuned.model  # it has weights that the base model has not
    else:
        run.encoder.load_state_dict(tuned.state_dict())


def _warn_if_worse(run: Run, before: float, after: float, measure: str) -> None:
    if after <= before:
        run.sink.emit(
            Message(
                level="warning",
                text=f"Training did not help on dev: {measure} was {before:.4f} before and {after:.4f} at its best. "
                "Try a lower training.learning_rate, more data, or look for wrong pairs.",
            )
        )


def _write_evidence(run: Run, systems: dict[str, Evaluation]) -> dict[str, Any]:
    folder, task, dataset = run.folder.evaluation, run.task, run.dataset
    cut = [
        (cut_name(TUNED, width), other) for width in task.options.truncate for other in (cut_name(BASE, width), TUNED)
    ]
    scores = write_results(folder, systems, (*COMPARED, *cut))
    positives, cosine = dataset.positives(task.split), run.encoder.similarity == "cosine"
    tables: dict[str, list[pa.Table]] = {"score_pairs": [], "map": []}
    for system in (BASE, TUNED):
        found = systems[system].found
        arguments = (found, task.corpus, task.queries, positives, cosine, task.seed)
        for name, table in (("score_pairs", score_pairs(*arguments)), ("map", space_map(*arguments))):
            tables[name].append(table.append_column("system", pa.array([system] * len(table))))
    for name, parts in tables.items():
        with atomic(folder / f"{name}.parquet") as partial:
            parquet.write_table(pa.concat_tables(parts), partial)
    measure = systems[BASE].scores.measures[0]
    values = {system: systems[system].values(measure) for system in (BASE, TUNED)}
    hits = {system: systems[system].found for system in (BASE, TUNED)}
    write_json(folder / "examples.json", examples(dataset, task.split, task.queries, measure, values, hits))
    return scores
