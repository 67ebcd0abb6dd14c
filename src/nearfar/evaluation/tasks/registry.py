"""The tasks by name, what kind of data a data set is, and which tasks suit it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np

from nearfar.config.component import parse_component
from nearfar.data.tables import Dataset
from nearfar.errors import ConfigError, did_you_mean
from nearfar.evaluation.tasks.bitext import Bitext
from nearfar.evaluation.tasks.clustering import Clustering
from nearfar.evaluation.tasks.few_shot import FewShot
from nearfar.evaluation.tasks.knn import KNN
from nearfar.evaluation.tasks.multi_label import MultiLabel
from nearfar.evaluation.tasks.pair_classification import PairClassification
from nearfar.evaluation.tasks.probe import Probe
from nearfar.evaluation.tasks.reranking import Reranking
from nearfar.evaluation.tasks.setting import VectorTask
from nearfar.evaluation.tasks.sts import STS
from nearfar.evaluation.tasks.triplets import Triplets

RETRIEVAL = "Retrieval"
"""The name of what is no task here: searching the corpus, which has its own results and files."""

TASKS: Mapping[str, type[VectorTask]] = {
    task.__name__: task
    for task in (
        STS,
        PairClassification,
        Triplets,
        Reranking,
        Clustering,
        KNN,
        Probe,
        FewShot,
        MultiLabel,
        Bitext,
    )
}


class Kind(StrEnum):
    """What a split of a data set holds."""

    GRADED = "graded pairs"
    BINARY = "pairs with labels of 0 and 1"
    TRIPLETS = "triplets"
    CANDIDATES = "queries with lists of candidates"
    LABELLED = "texts with labels"
    MULTI_LABEL = "texts with lists of labels"
    SEARCHED = "queries and documents"


DEFAULTS: Mapping[Kind, tuple[VectorTask, ...]] = {
    Kind.GRADED: (STS(),),
    Kind.BINARY: (PairClassification(),),
    Kind.TRIPLETS: (Triplets(),),
    Kind.CANDIDATES: (Reranking(),),
    Kind.LABELLED: (KNN(), Probe(), Clustering()),
    Kind.MULTI_LABEL: (MultiLabel(),),
    Kind.SEARCHED: (),
}
"""What is measured when no task is named; nothing means retrieval."""


def kind_of(dataset: Dataset, split: str) -> Kind:
    """The kind of a split, by the layout that was read and, for pairs, by their judgements.

    Pairs are triplets where each query has one negative, and lists of candidates where each has some; with queries
    that have none, they are searched, as BEIR data is in any case.
    """
    layout, judged = dataset.facts.layout, dataset.qrels[split]
    if layout == "labels":
        return Kind.LABELLED
    if layout == "multilabel":
        return Kind.MULTI_LABEL
    if layout == "scored":
        return Kind.BINARY if np.isin(judged.grade, (0, 1)).all() else Kind.GRADED
    if layout != "pairs":
        return Kind.SEARCHED
    negatives = np.bincount(judged.query[judged.grade < dataset.positive_from], minlength=len(dataset.queries))
    counts = negatives[np.unique(judged.query)]
    if not len(counts) or counts.min() == 0:
        return Kind.SEARCHED
    return Kind.TRIPLETS if counts.max() == 1 else Kind.CANDIDATES


def parse_task(text: str) -> VectorTask:
    """A task from its text form, such as ``KNN`` or ``FewShot(ways=10, shots=1)``.

    Raises:
        ConfigError: the name or a field is unknown, or a value is not possible.
    """
    name = text.partition("(")[0].strip()
    if name.startswith("mteb:"):
        raise ConfigError(f"A task of mteb brings its data: give {name} in its place, nearfar evaluate MODEL {name}.")
    if name not in TASKS:
        known = (*TASKS, RETRIEVAL)
        raise ConfigError(f"There is no task {name!r}.{did_you_mean(name, known)} Tasks: {', '.join(known)}.")
    return parse_component(text, TASKS, "task")


def tasks_named(names: Sequence[str | VectorTask]) -> tuple[VectorTask, ...]:
    """Tasks from objects and text forms; none for ``Retrieval`` alone.

    Raises:
        ConfigError: a task is unknown or named twice, or retrieval is named beside others.
    """
    if any(isinstance(name, str) and name.strip() == RETRIEVAL for name in names):
        if len(names) > 1:
            raise ConfigError(f"{RETRIEVAL} is measured alone: it has results and files of its own. Name it alone.")
        return ()
    tasks = tuple(parse_task(name) if isinstance(name, str) else name for name in names)
    for place, task in enumerate(tasks):
        if task in tasks[:place]:
            raise ConfigError(f"The task {task} is named twice. Leave one out.")
    return tasks
