"""The teacher of a run: a frozen encoder whose vectors are computed before training and kept in the run folder."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from nearfar.config.refresh import NEVER
from nearfar.config.run import RunConfig
from nearfar.data.content import data_hash
from nearfar.data.tables import TRAIN, Dataset
from nearfar.encoders.fingerprint import vectors_hash
from nearfar.encoders.locate import locate
from nearfar.encoders.protocol import Role, TorchEncoder
from nearfar.engine.embed import resolve_precision
from nearfar.engine.teachers import Teacher, read_vectors, write_vectors
from nearfar.engine.together import first
from nearfar.errors import ConfigError, ResourceError
from nearfar.events import Message, Sink
from nearfar.files import write_json

BASE = "base"
"""The name that stands for the model that training starts from."""


def check_teacher(config: RunConfig) -> None:
    """Raise now what a teacher that cannot be found would raise later.

    Raises:
        ConfigError: there is no such model, or a setting is of no use.
        ResourceError: it can only be on the hub, which cannot be reached.
    """
    options = config.teacher
    if options.model is not None and options.model != BASE:
        locate(options.model)
        return
    for name in ("prompts", "max_length", "similarity"):
        if getattr(options, name):
            why = "the teacher is the base model, which has its own" if options.model else "there is no teacher.model"
            raise ConfigError(f"teacher.{name} is set, but {why}. Leave it out.")


def prepare_teacher(
    folder: Path, dataset: Dataset, base: TorchEncoder, config: RunConfig, sink: Sink
) -> Teacher | None:
    """The teacher of a run, None without one. Its vectors are computed unless the folder has these very ones.

    They are these very ones when the weights of the teacher, its prompts, length, pooling and precision, the texts and
    the judgements are what they were. The first process computes, the others wait and read.

    Args:
        folder: where the vectors are kept.
        dataset: whose training texts are encoded.
        base: the model that training starts from, not yet trained.
        config: names the teacher.
        sink: takes progress.
    """
    if config.teacher.model is None:
        return None
    first(lambda: _compute(folder, dataset, base, config, sink))
    found = _read(folder, dataset, config)
    if found is None:
        raise ResourceError(f"This process cannot read {folder}, where the first one has written. They must share it.")
    return found


def stored_teacher(folder: Path, dataset: Dataset, config: RunConfig) -> Teacher:
    """The teacher whose vectors a run has kept, for the same data.

    Raises:
        ConfigError: when they are not there any more.
    """
    found = _read(folder, dataset, config)
    if found is None:
        raise ConfigError(f"The run had a teacher, but its vectors are not in {folder} any more.")
    return found


def training_rows(
    dataset: Dataset, config: RunConfig
) -> tuple[Int64[np.ndarray, " query"], Int64[np.ndarray, " document"]]:
    """The rows of the queries and of the documents that a training batch can hold.

    Whatever the split judges and what was mined; all that is searched where training mines by itself.
    """
    qrels = dataset.qrels[TRAIN]
    wanted = np.isin(dataset.nodes, qrels.node)
    if dataset.mined is not None:
        wanted[dataset.mined.document] = True
    if config.mining.refresh != NEVER:
        wanted |= dataset.searched
    return np.unique(qrels.query).astype(np.int64), np.flatnonzero(wanted)


def _compute(folder: Path, dataset: Dataset, base: TorchEncoder, config: RunConfig, sink: Sink) -> None:
    """Make sure that the vectors are there."""
    encoder = _open(base, config)
    precision = encoder.precision
    encoder.precision = resolve_precision(config.teacher.precision, encoder.device)
    try:
        key, there = _key(encoder, dataset), _read_key(folder)
        if key == there and _read(folder, dataset, config) is not None:
            return
        if there and key != there:
            changed = ", ".join(name for name in key if key[name] != there.get(name))
            text = f"The teacher's vectors are computed anew: other {changed} than those that are kept in {folder}."
            sink.emit(Message(text=text, level="warning"))
        with suppress(FileNotFoundError):  # first, so that it never stands for half of other vectors
            (folder / "key.json").unlink()
        queries, documents = training_rows(dataset, config)
        write_vectors(folder / "queries.npy", encoder, dataset.queries, queries, Role.QUERY, sink)
        write_vectors(folder / "documents.npy", encoder, dataset.documents, documents, Role.DOCUMENT, sink)
        write_json(folder / "key.json", key)
    finally:
        encoder.precision = precision


def _open(base: TorchEncoder, config: RunConfig) -> TorchEncoder:
    options = config.teacher
    if options.model == BASE:
        return base
    from nearfar.encoders.load import load

    assert options.model is not None
    return load(
        options.model,
        prompts=options.prompts,
        max_length=options.max_length,
        similarity=options.similarity,
        device=str(base.device),
        seed=config.training.seed,
    )


def _key(encoder: TorchEncoder, dataset: Dataset) -> dict[str, str]:
    """What the vectors follow from."""
    return {
        "model": vectors_hash(encoder),
        "precision": encoder.precision,
        "data": data_hash(dataset),
        "similarity": encoder.similarity,
    }


def _read_key(folder: Path) -> dict[str, Any]:
    """What the vectors in a folder follow from; empty where nothing says so."""
    try:
        key: dict[str, Any] = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return key


def _read(folder: Path, dataset: Dataset, config: RunConfig) -> Teacher | None:
    """The vectors in a folder; None when they are not all there, or a file is damaged."""
    queries, documents = training_rows(dataset, config)
    try:
        return Teacher(
            queries=read_vectors(folder / "queries.npy", queries),
            documents=read_vectors(folder / "documents.npy", documents),
            similarity=_read_key(folder)["similarity"],
        )
    except (OSError, ValueError, KeyError, EOFError):
        return None
