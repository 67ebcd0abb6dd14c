"""What is at hand of a run: its files, its data, its models. Each is opened when a cause first asks for it."""

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64

from nearfar.auditing.subject import Subject
from nearfar.config.run import RunConfig
from nearfar.data.tables import Dataset
from nearfar.encoders.fingerprint import encoder_hash
from nearfar.encoders.load import load
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.errors import NearfarError
from nearfar.evaluation.evaluate import BASE, TUNED, Task
from nearfar.evaluation.results import read_run as read_hits
from nearfar.events import Silent, Sink
from nearfar.reports.contents import Comparison, Curve, Run
from nearfar.training.folder import RunFolder
from nearfar.types import Hits


class Unmeasured(Exception):  # noqa: N818  # not an error: what cannot be measured is said so
    """A cause cannot be looked for in this run; the message is the reason, a sentence."""


class Material:
    """A run, as far as it is there. What is missing raises ``Unmeasured`` with the reason.

    Args:
        folder: of the run.
        files: what is in it.
        config: its settings.
        dataset: its data with its splits, or the reason why it cannot be had.
        sink: takes progress.
    """

    def __init__(
        self, folder: RunFolder, files: Run, config: RunConfig, dataset: Dataset | str, sink: Sink = Silent()
    ) -> None:
        self.folder, self.files, self.config, self.sink = folder, files, config, sink
        self._dataset = dataset
        self._record = folder.read_record()

    @property
    def dataset(self) -> Dataset:
        """The tables, with the splits of the run."""
        if isinstance(self._dataset, str):
            raise Unmeasured(self._dataset)
        return self._dataset

    @cached_property
    def subject(self) -> Subject:
        """The words of the tables."""
        return Subject.of(self.dataset, self.sink)

    @cached_property
    def task(self) -> Task:
        """What the run was measured on at its end."""
        try:
            return Task.of(self.dataset, None, self.config.evaluation, self.config.training.seed)
        except NearfarError as error:
            raise Unmeasured(str(error)) from error

    def curve(self, name: str) -> Curve:
        """A number of training by its name in the telemetry; one that was never logged is missing."""
        curves = self.files.training.train if self.files.training is not None else {}
        if name not in curves:
            raise Unmeasured(f"training.jsonl has no {name}: the objective does not have it, or no step was logged.")
        return curves[name]

    @property
    def dev(self) -> Curve:
        """The dev scores; step 0 is the base model."""
        if self.files.training is None or not self.files.training.dev:
            raise Unmeasured("training.jsonl has no dev score: training stopped before the first dev search.")
        return next(iter(self.files.training.dev.values()))

    @property
    def gain(self) -> Comparison:
        """Tuned minus base model on the first measure of the evaluation."""
        found = self.files.scores.comparison(TUNED, BASE, self.measure) if self.files.scores is not None else None
        if found is None:
            raise Unmeasured("There are no scores: the run has not come to its evaluation.")
        return found

    @property
    def measure(self) -> str:
        """The first of the measures of the evaluation."""
        return self.config.evaluation.measures[0]

    def values(self, system: str) -> dict[str, float]:
        """The first measure of every query of the evaluation, by id."""
        known = self.files.per_query.values if self.files.per_query is not None else {}
        if (system, self.measure) not in known:
            raise Unmeasured("There are no values by query: the run has not come to its evaluation.")
        return dict(known[system, self.measure])

    def paired(self) -> tuple[Float64[np.ndarray, " query"], Float64[np.ndarray, " query"]]:
        """The first measure of tuned and base model, in the order of ``task.queries``."""
        tuned, base = self.values(TUNED), self.values(BASE)
        names = [self.dataset.queries.id(int(row)) for row in self.task.queries]
        if any(name not in tuned or name not in base for name in names):
            raise Unmeasured("The values by query are not those of the queries of the data.")
        return np.array([tuned[name] for name in names]), np.array([base[name] for name in names])

    def vectors(self, system: str) -> Float32[np.ndarray, "document dim"]:
        """The vectors of the searched documents that the run kept."""
        file = self.folder.evaluation / f"{system}.documents.npy"
        try:
            kept: Float32[np.ndarray, "document dim"] = np.load(file, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise Unmeasured(f"{file.name} is not in the evaluation of the run, or cannot be read.") from error
        return kept

    def hits(self, system: str) -> tuple[Int64[np.ndarray, " query"], Hits]:
        """What a system found: rows of queries, and rankings over the document table."""
        file = self.folder.evaluation / f"{system}.trec.gz"
        try:
            rows, hits = read_hits(file, self.dataset)
        except NearfarError as error:
            raise Unmeasured(str(error)) from error
        return rows.astype(np.int64), hits

    @cached_property
    def tuned(self) -> SentenceTransformerEncoder:
        """The tuned model."""
        return _finite(self.as_saved, "The tuned model")

    @cached_property
    def as_saved(self) -> SentenceTransformerEncoder:
        """The tuned model, whatever its weights are."""
        if not self.folder.model.is_dir():
            raise Unmeasured("There is no tuned model: the run has not trained to the end.")
        return self._opened(str(self.folder.model))

    @cached_property
    def base(self) -> SentenceTransformerEncoder:
        """The model before training, as the run opened it."""
        settings = self.config.model.model_dump(exclude={"adapter", "device"})
        encoder = self._opened(self._base_name, **settings)
        if encoder_hash(encoder) != self._record.get("base_hash"):
            raise Unmeasured(f"The model {self._base_name} is not what it was when the run began.")
        return _finite(encoder, "The base model")

    @cached_property
    def untouched(self) -> SentenceTransformerEncoder:
        """The base model with its own prompts."""
        _ = self.base  # raises where it is not the same model
        return self._opened(self._base_name)

    @property
    def _base_name(self) -> str:
        return str(self._record.get("model", ""))

    def _opened(self, name: str, **settings: object) -> SentenceTransformerEncoder:
        try:
            return load(name, **settings, device=self.config.model.device, seed=self.config.training.seed)  # type: ignore[arg-type]  # the fields of ModelOptions
        except NearfarError as error:
            raise Unmeasured(str(error)) from error


def _finite(encoder: SentenceTransformerEncoder, what: str) -> SentenceTransformerEncoder:
    if not all(bool(torch.isfinite(weights).all()) for weights in encoder.state_dict().values()):
        raise Unmeasured(f"{what} has weights that are not finite.")
    return encoder
