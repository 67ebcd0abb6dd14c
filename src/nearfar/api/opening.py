"""What the jobs share: settings, data and encoders from what a caller gives."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.config.data import DataOptions
from nearfar.config.read import override, read_config
from nearfar.config.run import RunConfig
from nearfar.data.load import load as load_data
from nearfar.data.tables import Dataset
from nearfar.encoders.locate import Located
from nearfar.errors import ConfigError
from nearfar.events import Sink
from nearfar.training.folder import RunFolder, read_run

Settings = RunConfig | Path | str | None
"""A configuration, or a YAML file that holds one, or None for the defaults."""


def finished_run(run: Path) -> RunFolder:
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


def settings_of(config: Settings, overrides: Sequence[str]) -> RunConfig:
    """The settings of a run, with overrides."""
    return override(config, overrides) if isinstance(config, RunConfig) else read_config(config, overrides)


def read_data(data: Dataset | Path | str, options: DataOptions, sink: Sink) -> Dataset:
    """Tables of which it is known which pairs are relevant.

    Raises:
        ConfigError: when the pairs are graded and nobody said from which grade on they are relevant.
    """
    dataset = read_tables(data, options, sink)
    check_relevance(dataset, options)
    return dataset


def read_tables(data: Dataset | Path | str, options: DataOptions, sink: Sink) -> Dataset:
    """Tables, whatever is in them."""
    return data if isinstance(data, Dataset) else load_data(data, options, sink)


def check_relevance(dataset: Dataset, options: DataOptions) -> None:
    """Refuse graded pairs of which nobody said from which grade on they are relevant.

    Raises:
        ConfigError: the pairs are such.
    """
    if dataset.facts.layout == "scored" and options.positive_from is None and dataset.positive_from == 1.0:
        grades = np.concatenate([qrels.grade for qrels in dataset.qrels.values()])
        raise ConfigError(
            f"{dataset.facts.source}: the pairs have grades from {grades.min():g} to {grades.max():g}, and nothing "
            "says which are relevant. Give the lowest relevant grade: --set data.positive_from=GRADE."
        )


def name_of(model: Any) -> str:
    """What to call a model."""
    return str(model) if isinstance(model, str | Path) else type(model).__name__


def open_encoder(located: Located, options: RunConfig, device: str | None = None) -> Any:
    """The encoder of a located model, as the settings say."""
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
