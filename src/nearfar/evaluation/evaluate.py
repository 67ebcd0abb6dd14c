"""How well systems find the relevant documents of a split: per query first, means and intervals on top."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.config.run import EvaluationOptions
from nearfar.data.tables import DEV, TEST, UNSPLIT, Dataset
from nearfar.encoders.protocol import Encoder
from nearfar.errors import ConfigError, DataError, did_you_mean
from nearfar.evaluation.calibrated import Calibration
from nearfar.evaluation.measures import PerQuery, mean_scores, parse_measures, per_query
from nearfar.evaluation.profile import calibration_of, geometry_of, write_profile
from nearfar.evaluation.results import write_per_query, write_run
from nearfar.evaluation.retrieve import Corpus, Found, ranked, retrieve, retrieve_bm25
from nearfar.evaluation.space import Geometry
from nearfar.events import Silent, Sink
from nearfar.files import write_json
from nearfar.statistics.bootstrap import bootstrap_intervals
from nearfar.statistics.paired import Difference, compare

BM25_NAME, BASE, TUNED = "bm25", "base", "tuned"
HELD = 1000
"""Dev queries that thresholds and probabilities are found on."""
_FILE_NAME = re.compile(r"[^\w.-]+")
"""What a path or another name of a system has, and a file name must not have."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What is measured: the queries of a split, the corpus, and the measures.

    Attributes:
        dataset: the tables.
        split: whose queries and judgements count.
        queries: rows of the queries that have a relevant document.
        corpus: what is searched.
        options: measures, depth, intervals.
        seed: of the resampling.
    """

    dataset: Dataset
    split: str
    queries: np.ndarray
    corpus: Corpus
    options: EvaluationOptions
    seed: int = 0

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        split: str | None = None,
        options: EvaluationOptions = EvaluationOptions(),
        seed: int = 0,
    ) -> "Task":
        """The task of a split: ``test`` when there is one, else ``dev``, else all.

        Raises:
            ConfigError: when there is no such split, or a measure is unknown.
            DataError: when no query of it has a relevant document.
        """
        parse_measures(options.measures)
        if split is None:
            split = next((name for name in (TEST, DEV, UNSPLIT) if name in dataset.qrels), dataset.splits[0])
        if split not in dataset.qrels:
            raise ConfigError(
                f"{dataset.name} has no split {split!r}.{did_you_mean(split, dataset.splits)} "
                f"Its splits: {', '.join(dataset.splits)}."
            )
        queries = dataset.query_rows(split)
        if not len(queries):
            raise DataError(f"No query of the split {split!r} of {dataset.name} has a relevant document.")
        return cls(dataset=dataset, split=split, queries=queries, corpus=Corpus.of(dataset), options=options, seed=seed)

    @property
    def held(self) -> np.ndarray:
        """Rows of the dev queries that thresholds are found on, at most ``HELD``; none when dev itself is measured."""
        if self.split == DEV or DEV not in self.dataset.qrels:
            return self.queries[:0]
        rows = self.dataset.query_rows(DEV)
        return np.sort(np.random.default_rng(self.seed).permutation(rows)[:HELD])


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """What one system found, and how good that is.

    Attributes:
        task: what was measured.
        found: the hits, and the vectors they came from.
        scores: each measure of each query.
        held: what it found for ``task.held``, where that was asked for.
    """

    task: Task
    found: Found
    scores: PerQuery
    held: Found | None = None

    @property
    def means(self) -> dict[str, float]:
        """The mean of each measure."""
        return mean_scores(self.scores)

    def values(self, measure: str) -> np.ndarray:
        """One measure of each query, in the order of ``task.queries``."""
        values: np.ndarray = self.scores.values[:, self.scores.measures.index(measure)]
        return values


def evaluate_encoder(
    encoder: Encoder, task: Task, sink: Sink = Silent(), keep: Path | None = None, *, calibrate: bool = False
) -> Evaluation:
    """Measure an encoder.

    Args:
        encoder: what embeds.
        task: what is measured.
        sink: takes progress.
        keep: a file that keeps, or already holds, its document vectors.
        calibrate: also search with ``task.held``, on which thresholds are found that ``task.queries`` judge.
    """
    measured = _measured(task, retrieve(encoder, task.corpus, task.queries, task.options.depth, sink, keep))
    return replace(measured, held=_held(encoder, task, measured.found, sink)) if calibrate else measured


def evaluate_cut(whole: Evaluation, width: int, similarity: str, sink: Sink = Silent()) -> Evaluation:
    """Measure an encoder that was measured already with its vectors cut to their first dimensions."""
    task, vectors, documents = whole.task, whole.found.queries, whole.found.documents
    assert vectors is not None  # BM25 alone has none
    assert documents is not None
    cut = ranked(
        vectors[:, :width], documents[:, :width], similarity, task.corpus, task.queries, task.options.depth, sink
    )
    measured = _measured(task, cut)
    if whole.held is None or whole.held.queries is None:
        return measured
    held = ranked(
        whole.held.queries[:, :width], documents[:, :width], similarity, task.corpus, task.held, task.options.depth
    )
    return replace(measured, held=held)


def with_cuts(systems: Mapping[str, Evaluation], similarity: str, sink: Sink = Silent()) -> dict[str, Evaluation]:
    """The systems, and those with vectors again as ``name@width`` for every width of ``evaluation.truncate``."""
    cuts = {
        cut_name(name, width): evaluate_cut(measured, width, similarity, sink)
        for name, measured in systems.items()
        if measured.found.queries is not None
        for width in measured.task.options.truncate
    }
    return {**systems, **cuts}


def check_cuts(encoder: Encoder, options: EvaluationOptions) -> None:
    """Raise ConfigError when vectors are to be cut to more dimensions than they have."""
    if options.truncate and max(options.truncate) > (width := encoder.encode_queries(["width"]).shape[1]):
        raise ConfigError(
            f"evaluation.truncate cuts vectors to {max(options.truncate)} dimensions, and this model's have {width}. "
            f"Leave out every width above {width}."
        )


def cut_name(system: str, width: int) -> str:
    """What a system is called whose vectors are cut to a width."""
    return f"{system}@{width}"


def evaluate_bm25(task: Task, sink: Sink = Silent()) -> Evaluation:
    """Measure BM25."""
    identifiers = task.options.bm25 == "identifiers"
    return _measured(task, retrieve_bm25(task.corpus, task.queries, task.options.depth, sink, identifiers))


def differences(treatment: Evaluation, control: Evaluation) -> dict[str, Difference]:
    """Treatment minus control by measure, paired over queries."""
    options, seed = treatment.task.options, treatment.task.seed
    return {
        measure: compare(
            treatment.values(measure),
            control.values(measure),
            confidence=options.confidence,
            resamples=options.resamples,
            draws=options.resamples,
            seed=seed,
        )
        for measure in treatment.scores.measures
    }


def summary(systems: Mapping[str, Evaluation], pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Means, intervals and comparisons of systems as JSON; ``pairs`` lists (treatment, control)."""
    task = next(iter(systems.values())).task
    options = task.options

    def intervals(scores: PerQuery) -> dict[str, list[float]]:
        found = bootstrap_intervals(
            scores.values, confidence=options.confidence, resamples=options.resamples, seed=task.seed
        )
        return dict(zip(scores.measures, found.tolist(), strict=True))

    return {
        "split": task.split,
        "queries": len(task.queries),
        "documents": len(task.corpus.rows),
        "confidence": options.confidence,
        "systems": {name: evaluation.means for name, evaluation in systems.items()},
        "intervals": {name: intervals(evaluation.scores) for name, evaluation in systems.items()},
        "comparisons": [
            {"treatment": treatment, "control": control, "measure": measure, **difference.as_dict()}
            for treatment, control in pairs
            for measure, difference in differences(systems[treatment], systems[control]).items()
        ],
    }


def write_results(folder: Path, systems: Mapping[str, Evaluation], pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Write scores.json, per_query.parquet and one TREC run file for each system; gives what scores.json holds.

    For systems with vectors also calibration.json and geometry.json, see ``profile``.
    """
    task = next(iter(systems.values())).task
    written = summary(systems, pairs)
    for name, evaluation in systems.items():
        file = folder / f"{_FILE_NAME.sub('_', name)}.trec.gz"
        write_run(file, evaluation.found.hits, task.queries, task.dataset, name)
    write_per_query(
        folder / "per_query.parquet", {name: it.scores for name, it in systems.items()}, task.dataset.queries
    )
    encoders = {name: it for name, it in systems.items() if it.found.queries is not None}
    write_profile(
        folder,
        {name: _calibration(it) for name, it in encoders.items()},
        {name: _geometry(it) for name, it in encoders.items()},
    )
    write_json(folder / "scores.json", written)
    return written


def _calibration(evaluation: Evaluation) -> Calibration:
    task = evaluation.task
    held = None if evaluation.held is None else (evaluation.held, task.held)
    confidence, seed = task.options.confidence, task.seed
    return calibration_of(
        evaluation.found, held, task.corpus, task.queries, task.split, confidence=confidence, seed=seed
    )


def _geometry(evaluation: Evaluation) -> Geometry:
    task = evaluation.task
    positives = task.dataset.positives(task.split)
    return geometry_of(evaluation.found, task.corpus, task.queries, positives, task.seed)


def _held(encoder: Encoder, task: Task, found: Found, sink: Sink) -> Found | None:
    if not len(task.held):
        return None
    assert found.documents is not None  # an encoder's
    vectors = encoder.encode_queries(task.dataset.queries.take(task.held), sink)
    return ranked(vectors, found.documents, found.similarity, task.corpus, task.held, task.options.depth, sink)


def _measured(task: Task, found: Found) -> Evaluation:
    own = task.corpus.own_text(task.queries)
    exclude = np.where(own >= 0, task.corpus.rows[own], -1)
    scores = per_query(found.hits, task.queries, task.dataset, task.split, task.options.measures, exclude=exclude)
    return Evaluation(task=task, found=found, scores=scores)
