"""What a comparison works on: data sets, each read once, what is measured on them, and what stands for a model."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nearfar.config.comparison import Arm, ComparisonConfig
from nearfar.config.data import DataOptions
from nearfar.config.run import RunConfig
from nearfar.data.content import data_hash
from nearfar.data.split import split as split_data
from nearfar.data.tables import DEV, TEST, TRAIN, UNSPLIT, Dataset
from nearfar.encoders.locate import Located, locate
from nearfar.errors import ConfigError, DataError, NearfarError
from nearfar.evaluation.comparison import ComparedData
from nearfar.evaluation.evaluate import Task
from nearfar.evaluation.measures import parse_measures
from nearfar.events import Silent, Sink
from nearfar.statistics.values import same_queries
from nearfar.training.inputs import check_inputs
from nearfar.training.job import Trainable
from nearfar.training.teacher import BASE

_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How data and models are opened.

    Attributes:
        data: tables from a path.
        encoder: an encoder that was found, with the settings of a run.
    """

    data: Callable[[str, DataOptions, Sink], Dataset]
    encoder: Callable[[Located, RunConfig], Trainable]


@dataclass(eq=False, kw_only=True)
class Material:
    """Data sets and tasks of the arms of a comparison.

    Attributes:
        arms: by system and data set.
        opening: how things are opened.
        sink: hears how reading goes.
    """

    arms: Mapping[tuple[str, str], Arm]
    opening: Opening
    sink: Sink = field(default_factory=Silent)
    _datasets: dict[str, tuple[Dataset, str]] = field(default_factory=dict)
    _tasks: dict[str, Task] = field(default_factory=dict)
    _models: dict[str, str] = field(default_factory=dict)

    def dataset(self, arm: Arm) -> Dataset:
        """The tables of an arm, with the splits that its data set needs."""
        return self._read(arm)[0]

    def data_hash(self, arm: Arm) -> str:
        """What stands for their content."""
        return self._read(arm)[1]

    def task(self, arm: Arm) -> Task:
        """What is measured."""
        key = f"{arm.path} {arm.options.data} {arm.split} {arm.options.evaluation}"
        if key not in self._tasks:
            self._tasks[key] = Task.of(self.dataset(arm), arm.split, arm.options.evaluation)
        return self._tasks[key]

    def model_hash(self, arm: Arm) -> str:
        """What stands for the content of a model, and of its teacher: the bytes of their files.

        Of one that is on a hub, its name, though what is there may change.
        """
        teacher = arm.options.teacher.model if arm.kind == "recipe" else None
        names = [name for name in (arm.model, teacher) if name is not None and name != BASE]
        for name in names:
            if name not in self._models:
                self._models[name] = _content_of(locate(name))
        return " ".join(self._models[name] for name in names)

    def check(self) -> None:
        """Refuse now what cannot work: before anything is trained.

        Raises:
            NearfarError: with the system and the data set that it is about.
        """
        for arm in self.arms.values():
            try:
                self._check(arm)
            except NearfarError as error:
                raise type(error)(f"{arm.system} on {arm.data_set}: {error}") from error
        for data_set in dict.fromkeys(data_set for _, data_set in self.arms):
            self._check_same({name: arm for (name, on), arm in self.arms.items() if on == data_set}, data_set)

    def described(self, config: ComparisonConfig) -> tuple[ComparedData, ...]:
        """The data sets."""
        found = []
        for data_set in config.data:
            arm = next(arm for (_, on), arm in self.arms.items() if on == data_set)
            task = self.task(arm)
            sizes = {"queries": len(task.queries), "documents": len(task.corpus.rows)}
            found.append(ComparedData(name=data_set, source=arm.path, split=task.split, **sizes))
        return tuple(found)

    def _read(self, arm: Arm) -> tuple[Dataset, str]:
        trained = any(each.kind == "recipe" for each in self.arms.values())
        key = f"{arm.path} {arm.options.data} {arm.split}"
        if key not in self._datasets:
            dataset = self.opening.data(arm.path, arm.options.data, self.sink)
            if trained or (dataset.splits == (UNSPLIT,) and arm.split in (TRAIN, DEV, TEST)):
                dataset = split_data(dataset, arm.options.data)
            self._datasets[key] = dataset, data_hash(dataset)
        return self._datasets[key]

    def _check(self, arm: Arm) -> None:
        if arm.model is not None:
            locate(arm.model)
        dataset, task = self.dataset(arm), self.task(arm)
        if len(task.queries) < 2:
            raise DataError(
                f"the split {task.split!r} has one query, which says nothing about others. A comparison needs at least "
                "2, and better some hundred."
            )
        _check_grades(task)
        if arm.kind == "recipe":
            if DEV not in dataset.qrels:
                raise ConfigError("training needs a dev split to watch: set data.dev above 0, or bring a dev split.")
            check_inputs(dataset, arm.options)

    def _check_same(self, arms: Mapping[str, Arm], data_set: str) -> None:
        """Refuse systems that are measured on different queries or search different documents."""
        tasks = {system: self.task(arm) for system, arm in arms.items()}
        if len({id(task) for task in tasks.values()}) == 1:
            return
        first = next(iter(tasks))
        same_queries(
            {name: {task.dataset.queries.id(row): 0.0 for row in task.queries.tolist()} for name, task in tasks.items()}
        )
        for name, task in tasks.items():
            if len(task.corpus.rows) != len(tasks[first].corpus.rows):
                raise DataError(
                    f"On {data_set!r}, {first!r} searches {len(tasks[first].corpus.rows)} documents and {name!r} "
                    f"{len(task.corpus.rows)}. Give all systems the same corpus."
                )


def _check_grades(task: Task) -> None:
    """Refuse a measure that asks for grades which no judgement has: it would be 0 for everybody."""
    highest = float(task.dataset.positives(task.split).grade.max())
    for measure in parse_measures(task.options.measures):
        wanted = measure.params.get("rel")
        if isinstance(wanted, int) and wanted > highest:
            raise DataError(
                f"{measure} counts documents of grade {wanted} or more, and the highest grade of the split "
                f"{task.split!r} is {highest:g}. Leave the measure out, or bring graded judgements."
            )


def _content_of(located: Located) -> str:
    """A hash of the files of a model."""
    if located.hub_id is not None:
        return f"hub {located.hub_id}"
    if located.folder is not None:
        root = located.folder
        files = sorted(path for path in root.rglob("*") if path.is_file())
    else:
        files = [path for path in (located.tokenizer, located.vectors) if path is not None]
        root = Path("/")
    digest = hashlib.blake2b(f"{located.dim}".encode(), digest_size=16)
    for path in files:
        digest.update(str(path.relative_to(root)).encode() if located.folder is not None else b"")
        with path.open("rb") as stream:
            while part := stream.read(_BYTES_AT_ONCE):
                digest.update(part)
    return digest.hexdigest()
