"""The settings of a comparison: systems, data sets and seeds, and what they have in common.

A run of a comparison is one system on one data set with one seed. Its settings are those of ``base``, then those of the
data set, then those of the system: what is special wins.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, field_validator

from nearfar.config.read import build, override, read_options
from nearfar.config.run import RunConfig
from nearfar.config.section import Section
from nearfar.errors import ConfigError, did_you_mean, first_few

BM25 = "bm25"
"""The model that is no model."""
START, READY, PATH, SPLIT = "start", "ready", "path", "split"
"""Keys of a system or a data set that are not settings of a run."""
_LONGEST_NAME = 60

Tree = dict[str, Any]
Seed = Annotated[int, Field(ge=0)]


class Budget(Section):
    """What a comparison may cost in all, with what earlier parts of it have cost. It ends well when that is used up."""

    minutes: float | None = Field(default=None, gt=0, description="Of wall clock for runs. None: no limit.")
    runs: int | None = Field(default=None, ge=1, description="Finished or failed. None: no limit.")


class ComparisonConfig(Section):
    """Everything that decides a comparison."""

    name: str = Field(default="", description="For titles. Empty: the name of the file.")
    systems: dict[str, str | Tree] = Field(
        min_length=1,
        description="By name, what is compared. A recipe: the settings of a training run in which it differs from "
        "base, such as {objective: DCL(temperature=0.05)}, and start if it trains from another model. A model as it "
        "is, or bm25: its name alone, or {ready: NAME, ...} with settings.",
    )
    base: Tree = Field(
        default_factory=dict,
        description="Settings that all have in common, and start: the model that training starts from.",
    )
    data: dict[str, str | Tree] = Field(
        min_length=1,
        description="By name, a path, or {path: ..., ...} with split (test, else dev, else all) and with settings that "
        "all systems have on this data set, such as {data: {train: pairs.jsonl}, training: {epochs: 2}}.",
    )
    seeds: tuple[Seed, ...] = Field(
        default=(0, 1, 2, 3, 4),
        min_length=1,
        description="Of training: a list, or how many, counted from 0. What is not trained has none.",
    )
    baseline: str | None = Field(
        default=None, description="The system that all others are compared with. None: every pair is compared."
    )
    measure: str | None = Field(default=None, description="That decides. None: the first of evaluation.measures.")
    budget: Budget = Field(default=Budget(), description="What it may cost.")
    keep_models: bool = Field(default=False, description="Keep the model of every run, in cells/RUN/model.")

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_or_list(cls, seeds: object) -> object:
        if isinstance(seeds, bool) or not isinstance(seeds, int):
            return seeds
        if seeds < 1:
            raise ValueError("at least 1 is needed")
        return tuple(range(seeds))


class FinishedOptions(Section):
    """How runs that are finished already are compared."""

    name: str = Field(default="", description="For titles. Empty: the names of the runs.")
    baseline: str | None = Field(
        default=None, description="The run that all others are compared with. None: every pair is compared."
    )
    measure: str | None = Field(default=None, description="That decides. None: the first that all have.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Of the intervals.")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One system on one data set.

    Attributes:
        system, data_set: their names.
        kind: trained by a recipe, a model as it is, or BM25.
        model: the name of the model that is measured or trained; None for BM25.
        path: of the data.
        split: that is measured; None: test, else dev, else all.
        options: all settings; ``training.seed`` is that of ``base`` until a run sets its own.
    """

    system: str
    data_set: str
    kind: Literal["recipe", "model", "bm25"]
    model: str | None
    path: str
    split: str | None
    options: RunConfig

    def seeded(self, seed: int | None) -> RunConfig:
        """The settings of the run with a seed; None for what is not trained."""
        return self.options if seed is None else override(self.options, [f"training.seed={seed}"])


def read_comparison(path: Path | str, overrides: Sequence[str] = ()) -> ComparisonConfig:
    """A comparison from a YAML file with ``a.b=c`` overrides, such as ``data.cosqa.path=/data/cosqa``.

    Raises:
        ConfigError: the file cannot be read, a name is given twice, or a key or value is not allowed.
    """
    _refuse_twice(Path(path))
    config = read_options(ComparisonConfig, path, overrides)
    return config if config.name else config.model_copy(update={"name": Path(path).stem})


def arms(config: ComparisonConfig) -> dict[tuple[str, str], Arm]:
    """Each system on each data set, by (system, data set), in the order of the file.

    Raises:
        ConfigError: settings or names that are not allowed, an unknown baseline, a recipe without a start, two systems
            that are the same, or a measure that is not computed.
    """
    _check_names(config)
    build(RunConfig, _settings(config.base, "base", (START,)), source="base")
    found = {
        (system, data_set): _arm(config, system, data_set) for data_set in config.data for system in config.systems
    }
    _refuse_same(config, found)
    _refuse_unmeasured(config, found)
    return found


def measure_of(config: ComparisonConfig) -> str:
    """The measure that decides."""
    measures = build(RunConfig, _settings(config.base, "base", (START,)), source="base").evaluation.measures
    return config.measure or measures[0]


def summary_of(config: ComparisonConfig, system: str) -> str:
    """What is special about a system, in one line: its objective first, or the model that it is."""
    entry = config.systems[system]
    if isinstance(entry, str):
        return entry
    flat = _flat(entry)
    first = [str(flat.pop(key)) for key in (READY, "objective") if key in flat]
    return ", ".join([*first, *(f"{key}={value}" for key, value in flat.items())]) or "as base"


def _check_names(config: ComparisonConfig) -> None:
    for what, names in (("system", config.systems), ("data set", config.data)):
        for name in names:
            if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
                raise ConfigError(
                    f"The name of a {what} is one line of 1 to {_LONGEST_NAME} characters, got {name[:80]!r}."
                )
    twice = [seed for seed, count in Counter(config.seeds).items() if count > 1]
    if twice:
        raise ConfigError(f"seeds has {first_few(twice)} twice: the same seed trains the same model. Leave one out.")
    if config.baseline is not None and config.baseline not in config.systems:
        raise ConfigError(
            f"baseline: there is no system {config.baseline!r}.{did_you_mean(config.baseline, config.systems)} "
            f"Systems: {first_few(config.systems, 20)}."
        )


def _arm(config: ComparisonConfig, system: str, data_set: str) -> Arm:
    entry, place = config.systems[system], config.data[data_set]
    own: Tree = {READY: entry} if isinstance(entry, str) else dict(entry)
    data: Tree = {PATH: place} if isinstance(place, str) else dict(place)
    where, on = f"system {system!r}", f"data set {data_set!r}"
    ready, path = own.get(READY), data.get(PATH)
    split = data.get(SPLIT)
    for value, name, source in ((path, PATH, on), (split, SPLIT, on), (ready, READY, where)):
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{source}: {name} must be a text, got {value!r}.")
    if path is None:
        raise ConfigError(f"{on} needs a path: write data: {{{data_set}: PATH}}, or give --set data.{data_set}=PATH.")
    start = own.get(START, config.base.get(START))
    if ready is not None and START in own:
        raise ConfigError(f"{where} has ready and start: ready is measured as it is, start is trained. Give one.")
    if ready is None and not isinstance(start, str):
        raise ConfigError(
            f"{where} is a recipe, and nothing says which model it trains: give base.start, or start in the system. "
            "A model that is measured as it is: {ready: NAME}."
        )
    common, on_data = _settings(config.base, "base", (START,)), _settings(data, on, (PATH, SPLIT))
    tree = _merged(_merged(common, on_data), _settings(own, where, (START, READY)))
    options = build(RunConfig, tree, source=f"{where} on {data_set!r}")
    if options.evaluation.truncate:
        raise ConfigError(f"{where}: evaluation.truncate is not for comparisons, which measure whole vectors.")
    kind: Literal["recipe", "model", "bm25"] = "recipe" if ready is None else "bm25" if ready == BM25 else "model"
    model = start if ready is None else None if ready == BM25 else ready
    return Arm(system=system, data_set=data_set, kind=kind, model=model, path=path, split=split, options=options)


def _settings(tree: Mapping[str, Any], where: str, apart: Sequence[str]) -> Tree:
    """The settings of a run in a part of the file, without the keys that are none."""
    if isinstance(tree.get("model"), str):
        raise ConfigError(
            f"{where}: model holds settings such as max_length. Name a model that training starts from with start, and "
            "one that is measured as it is with ready."
        )
    rest = {key: value for key, value in tree.items() if key not in apart}
    unknown = [key for key in rest if key not in RunConfig.model_fields]
    if unknown:
        known = [*apart, *RunConfig.model_fields]
        raise ConfigError(
            f"{where}: unknown key {unknown[0]!r}.{did_you_mean(unknown[0], known)} Known here: {', '.join(known)}."
        )
    return rest


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Tree:
    """Two trees as one; where both have a value, that of ``above``."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _refuse_same(config: ComparisonConfig, found: Mapping[tuple[str, str], Arm]) -> None:
    """Refuse two names for one system: their runs would be the same, and so would their values."""
    seen: dict[str, str] = {}
    for system in config.systems:
        each = [found[system, data_set] for data_set in config.data]
        content = repr([(arm.kind, arm.model, arm.options) for arm in each])
        if content in seen:
            raise ConfigError(f"The systems {seen[content]!r} and {system!r} have the same settings. Leave one out.")
        seen[content] = system


def _refuse_unmeasured(config: ComparisonConfig, found: Mapping[tuple[str, str], Arm]) -> None:
    measure = measure_of(config)
    for arm in found.values():
        if measure not in arm.options.evaluation.measures:
            raise ConfigError(
                f"The measure {measure!r} decides, and system {arm.system!r} on {arm.data_set!r} does not compute it."
                f"{did_you_mean(measure, arm.options.evaluation.measures)} Add it to base.evaluation.measures."
            )


def _refuse_twice(path: Path) -> None:
    """Raise ConfigError for a key that a YAML file has twice, of which a reader would silently keep the last."""
    if not path.is_file():
        return  # reading will say more
    try:
        nodes = [yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)]
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            for key, _ in reversed(node.value):
                if isinstance(key, yaml.ScalarNode) and keys[key.value] > 1:
                    raise ConfigError(f"{path}, line {key.start_mark.line + 1}: {key.value!r} is given twice.")
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
