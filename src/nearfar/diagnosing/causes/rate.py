"""A learning rate that throws the model about, or that leaves it where it was."""

from collections.abc import Iterator, Sequence

import numpy as np

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.curves import typical
from nearfar.diagnosing.material import Material, Unmeasured

_RISE = 1.1
_MOVED = 0.02
_UNCHANGED = 0.95


def look(material: Material) -> Sequence[Sign]:
    """The loss at the end beside that at the start, with the dev score; and the queries whose value did not move."""
    loss = material.curve("loss")
    if not np.isfinite(loss.values).all():
        raise Unmeasured("The loss is not finite.")
    first, last = typical(loss, 0.0, 0.1), typical(loss, 0.7, 1.0)
    numbers = {"loss at the start": first, "loss at the end": last}
    if len(loss.values) < 10 or first <= 0:
        raise Unmeasured(f"{len(loss.values)} losses were logged, too few to say where they go.")
    return [*_thrown(material, last / first, numbers), *_left(material, last / first, numbers)]


def _thrown(material: Material, ratio: float, numbers: dict[str, float]) -> Iterator[Sign]:
    start, end = material.dev.values[0], material.dev.values[-1]
    yield Sign(
        name="loss at the end, as a share of that at the start",
        value=ratio,
        usual=0.8,
        limit=_RISE,
        sentence=f"The loss went from {numbers['loss at the start']:.3g} to {numbers['loss at the end']:.3g} while the "
        f"dev score went from {start:.3f} to {end:.3f}.",
        numbers={**numbers, "dev score at the start": start, "dev score at the end": end},
        excuse="" if end < start else "the dev score did not fall",
    )


def _left(material: Material, ratio: float, numbers: dict[str, float]) -> Iterator[Sign]:
    """Only of runs that have been measured."""
    try:
        tuned, base = material.paired()
        accuracy = typical(material.curve("accuracy"), 0.7, 1.0)
    except Unmeasured:
        return
    same = float((np.abs(tuned - base) < 1e-9).mean())
    stuck = abs(1 - ratio) < _MOVED and accuracy < 1 - _MOVED and base.mean() < 1 - 2 * _MOVED
    yield Sign(
        name="queries with the same value as before training",
        value=same,
        usual=0.5,
        limit=_UNCHANGED,
        sentence=f"{100 * same:.0f} % of the queries have the value that the base model had, and the loss went from "
        f"{numbers['loss at the start']:.3g} to {numbers['loss at the end']:.3g}.",
        numbers=numbers,
        excuse="" if stuck else "the loss moved, or had no room to",
    )


CAUSE = Cause(
    name="learning-rate",
    title="The learning rate is too high, or too low",
    measured="The median loss of the last third of training beside that of the first tenth, with the dev score; and "
    "the share of test queries whose value did not change.",
    limit="Too high: the loss ends a tenth above its start and the dev score below that of the base model; healthy "
    "runs end below both. Too low: 95 % of the queries are as before though the loss, which had room, moved by less "
    "than 2 %.",
    advice="Too high: divide training.learning_rate by ten, and lengthen training.warmup. Too low: multiply it by ten.",
    look=look,
    follows=("not-finite", "collapse", "false-negatives", "temperature"),
)
