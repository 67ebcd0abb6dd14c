"""Texts with their labels, from the judgements of labelled data."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from nearfar.data.tables import TRAIN
from nearfar.errors import DataError
from nearfar.evaluation.tasks.setting import Setting


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """Texts of a split.

    Attributes:
        rows: of the query table, ascending.
        labels: number of the label of each.
    """

    rows: Int64[np.ndarray, " text"]
    labels: Int64[np.ndarray, " text"]

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, places: np.ndarray) -> "Labelled":
        """Some of the texts, by place or by mask."""
        return Labelled(rows=self.rows[places], labels=self.labels[places])


def labelled(setting: Setting, split: str) -> Labelled:
    """The texts of a split with their labels.

    Raises:
        DataError: they all have the same label.
    """
    judged = setting.judged(split)
    found = Labelled(rows=judged.query.astype(np.int64), labels=judged.node.astype(np.int64))
    if len(np.unique(found.labels)) < 2:
        name = (setting.dataset.labels or ("",))[int(found.labels[0])]
        raise DataError(
            f"All {len(found)} texts of {split} in {setting.dataset.facts.source} have one label, {name!r}: there is "
            "nothing to tell apart. Expected two or more."
        )
    return found


def examples_for(setting: Setting) -> Labelled:
    """The texts with labels to learn from: those of train.

    Raises:
        DataError: there is no train split beside the one that is measured.
    """
    data = setting.dataset
    if TRAIN not in data.qrels or setting.split == TRAIN:
        raise DataError(
            f"Learning from examples needs a train split beside {setting.split!r}; {data.facts.source} has "
            f"{', '.join(data.splits)}. Add a file named train, or measure data without splits, which nearfar splits."
        )
    return labelled(setting, TRAIN)
