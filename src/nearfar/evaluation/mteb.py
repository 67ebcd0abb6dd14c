"""Tasks of the installed mteb, measured on any encoder: its scores, with intervals where it gives values of items."""

import json
import logging
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from tqdm.std import tqdm  # type: ignore[import-untyped]

from nearfar.data.hub import OFFLINE, reachable
from nearfar.encoders.mteb import as_mteb, check_installed
from nearfar.encoders.protocol import Encoder
from nearfar.encoders.quiet import quiet
from nearfar.errors import ConfigError, DataError, ResourceError
from nearfar.evaluation.mteb_items import Items, items_of
from nearfar.evaluation.tasks.outcome import Outcome, Statistic, means_of, outcome
from nearfar.events import Silent, Sink

PREFIX = "mteb:"
"""What a task of mteb starts with where data is named: ``mteb:STSBenchmark``."""
AGREES = 1e-4
"""Values of items are kept where their measure is mteb's own up to this: it rounds some to five digits."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MTEBResult:
    """What an encoder scored in a task of mteb.

    Attributes:
        outcome: the main score of the task, with an interval. Where the task has several splits and subsets, it is the
            mean over them, as in mteb, and each has a measure of its own beside it.
        record: the whole result in the form that mteb writes.
    """

    outcome: Outcome
    record: dict[str, Any]


def task_named(name: str) -> Any:
    """A task of the installed mteb by its name, with or without ``mteb:``.

    Raises:
        ConfigError: mteb is not installed, or has no such task.
    """
    check_installed()
    import mteb

    try:
        with _apart():
            return mteb.get_task(name.removeprefix(PREFIX))
    except KeyError as error:
        raise ConfigError(
            f"mteb {mteb.__version__} has no task {name.removeprefix(PREFIX)!r}."
            + str(error.args[0]).partition("not found.")[2]
            + " All names: https://embeddings-benchmark.github.io/mteb"
        ) from None


def run_mteb(
    task: Any,
    encoder: Encoder,
    *,
    split: str | None = None,
    name: str = "encoder",
    confidence: float = 0.95,
    resamples: int = 10_000,
    sink: Sink = Silent(),
) -> MTEBResult:
    """Measure an encoder in a task of mteb. mteb's own store of results is neither read nor written.

    Args:
        task: a name, see ``task_named``, or a task of mteb with any settings.
        encoder: what embeds; see ``as_mteb`` for the prompts.
        split: one of the task's splits; None takes all that mteb measures.
        name: what mteb calls the encoder.
        confidence: of the intervals.
        resamples: of the bootstrap.
        sink: takes progress.

    Raises:
        ConfigError: mteb is not installed or has no such task, or the task has no such split or is not about texts.
        DataError: a score is no number.
        ResourceError: the data of the task cannot be had.
    """
    check_installed()
    named = isinstance(task, str)
    task = task_named(task) if named else task
    _check(task, split)
    splits = list(task.eval_splits)
    with _apart():
        try:
            task.filter_eval_splits(splits if split is None else [split])
            if not hasattr(task.metadata, "tasks") and not task.data_loaded:
                _load(task, named)
            result, queries, predictions = _evaluate(task, as_mteb(encoder, name, sink))
        finally:
            task.filter_eval_splits(splits)
    parts = {
        (part, str(scores["hf_subset"])): _part(task, part, scores, queries, predictions)
        for part, subsets in result.scores.items()
        for scores in subsets
    }
    return MTEBResult(outcome=_outcome(task, parts, confidence, resamples), record=json.loads(result.model_dump_json()))


def _part(
    task: Any, split: str, scores: dict[str, Any], queries: dict[tuple[str, str], Any], predictions: dict[str, Any]
) -> tuple[float, Items | None]:
    """The main score of a split and subset, and the items that it is over where mteb gives their values."""
    subset, main = str(scores["hf_subset"]), float(scores["main_score"])
    if not np.isfinite(main):
        raise DataError(
            f"{task.metadata.name}: the score of {split} {subset} is no number. Does the model tell texts apart?"
        )
    predicted, rows = predictions.get(subset, {}).get(split), _rows(task, split, subset)
    items = items_of(task.metadata.main_score, scores, queries.get((split, subset)), predicted, rows)
    return main, items if items is not None and abs(items.value - main) <= AGREES else None


def _outcome(
    task: Any, parts: dict[tuple[str, str], tuple[float, Items | None]], confidence: float, resamples: int
) -> Outcome:
    """One item for each that mteb gave a value of, else one for each split and subset."""
    measure, several = task.metadata.main_score, len(parts) > 1
    labels = [" ".join(place) for place in parts]
    known = [items for _, items in parts.values() if items is not None]
    notes = [f"Superseded by {task.superseded_by}, says mteb."] if getattr(task, "superseded_by", None) else []
    if len(known) < len(parts):
        values = np.array([main for main, _ in parts.values()])
        over = "the interval is over its splits and subsets" if several else "there is no interval"
        notes.append(f"mteb gives no values of single items here: {over}.")
        known = [Items(unit="subset", names=labels, columns={measure: values}, statistic=means_of(values[:, None]))]
        labels, several = [""], False
    names = [
        f"{label} {name}" if several else name for label, it in zip(labels, known, strict=True) for name in it.names
    ]
    # The mean of a column would not be the measure where parts of unlike size weigh the same.
    columns = {
        "value" if several and column == measure else column: np.concatenate([it.columns[column] for it in known])
        for column in known[0].columns
    }
    return outcome(
        f"{PREFIX}{task.metadata.name}",
        known[0].unit,
        names,
        (measure, *(f"{measure} {label}" for label in labels)) if several else (measure,),
        _over_parts(known),
        columns,
        confidence=confidence,
        resamples=resamples,
        notes=notes,
    )


def _over_parts(parts: list[Items]) -> Statistic:
    """The mean of the measure over parts, and of several parts also each. A draw without any of a part has it whole."""
    ends = np.cumsum([len(part.names) for part in parts]).tolist()
    slices = [slice(end - len(part.names), end) for part, end in zip(parts, ends, strict=True)]

    def statistic(counts: Float64[np.ndarray, "draw item"]) -> Float64[np.ndarray, "draw measure"]:
        drawn = (counts[:, place] for place in slices)
        each = np.column_stack(
            [
                part.statistic(np.where(own.any(axis=1, keepdims=True), own, 1.0))
                for part, own in zip(parts, drawn, strict=True)
            ]
        )
        return np.column_stack([each.mean(axis=1), each]) if len(parts) > 1 else each

    return statistic


def _evaluate(task: Any, model: Any) -> tuple[Any, dict[tuple[str, str], Any], dict[str, Any]]:
    """The result of mteb, its values of queries by split and subset, and its predictions by subset and split."""
    import mteb
    from mteb.abstasks import AbsTaskRetrieval

    queries: dict[tuple[str, str], Any] = {}
    searches = isinstance(task, AbsTaskRetrieval)
    if searches:
        specific = task.task_specific_scores

        def keep(scores: Any, *given: Any, hf_split: str, hf_subset: str, **more: Any) -> Any:
            queries[hf_split, hf_subset] = scores
            return specific(scores, *given, hf_split=hf_split, hf_subset=hf_subset, **more)

        task.task_specific_scores = keep
    try:
        with TemporaryDirectory() as folder:
            found = mteb.evaluate(
                model,
                task,
                cache=None,
                co2_tracker=False,
                show_progress_bar=False,
                encode_kwargs={"batch_size": 256, "show_progress_bar": False},
                prediction_folder=None if searches else folder,
            )
            file = Path(folder) / f"{task.metadata.name}_predictions.json"
            predictions = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    finally:
        if searches:
            del task.task_specific_scores
    return found.task_results[0], queries, predictions


def _rows(task: Any, split: str, subset: str) -> Any:
    """The rows of a split of a subset; None where the data has another form."""
    data = getattr(task, "dataset", None) or {}
    rows = data.get(subset, data).get(split)
    if hasattr(rows, "column_names") and len(rows) == 1 and all(isinstance(each, list) for each in rows[0].values()):
        return type(rows).from_dict(rows[0])  # how pairs were kept once
    return rows


def _check(task: Any, split: str | None) -> None:
    splits = list(task.eval_splits)
    if split is not None and split not in splits:
        raise ConfigError(f"{task.metadata.name} has no split {split!r}; mteb measures {', '.join(splits)}.")
    other = sorted({str(kind) for kind in task.metadata.modalities} - {"text"})
    if other:
        raise ConfigError(f"{task.metadata.name} is about {', '.join(other)}; only tasks about texts can be measured.")


def _load(task: Any, named: bool) -> None:
    """Load the data of a task. One that a caller made may bring its own; one of mteb's is on the hub."""
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    offline = any(os.environ.get(key, "").upper() in {"1", "ON", "YES", "TRUE"} for key in OFFLINE)
    if named and not offline and not reachable(endpoint, float(os.environ.get("HF_HUB_ETAG_TIMEOUT", "5"))):
        raise ResourceError(
            f"The data of {task.metadata.name} is on a hub, and that at {endpoint} cannot be reached. If it is in the "
            "local cache, set HF_HUB_OFFLINE=1."
        )
    try:
        task.load_data()
    except Exception as error:  # the libraries raise several dozen kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ResourceError(
            f"The data of {task.metadata.name} could not be loaded: {reason}. With HF_HUB_OFFLINE set, only the local "
            "cache is asked."
        ) from None


@contextmanager
def _apart() -> Iterator[None]:
    """Inside, mteb shows nothing, and what it does to the random numbers of the process is undone afterwards."""
    log = logging.getLogger("mteb")
    level, states, opened = log.level, (random.getstate(), np.random.get_state()), tqdm.__init__
    log.setLevel(logging.ERROR)
    tqdm.__init__ = partialmethod(opened, disable=True)  # some of its bars have no switch
    try:
        with quiet(), torch.random.fork_rng():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        log.setLevel(level)
        tqdm.__init__ = opened
