"""A step whose loss or weights are no finite numbers: its batch is kept in a file, and the rows at fault are named."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nearfar.data.tables import Dataset, Texts
from nearfar.engine.step import Step, StepInput
from nearfar.errors import DataError, first_few
from nearfar.files import write_text
from nearfar.types import Batch, Origin

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, eq=False, kw_only=True)
class Done:
    """What is kept of a step until the next one, in case that it turns out to be broken. Nothing waits for the device.

    Attributes:
        number: the step, from 1.
        epoch: the epoch, from 1.
        loss: the loss of the step.
        losses: the loss of each anchor.
        finite: which texts of the step have a vector of finite numbers.
        anchors, candidates: where the anchors and candidates stand among these texts.
        batch: the texts and their relation.
    """

    number: int
    epoch: int
    loss: Float[Tensor, ""]
    losses: Float[Tensor, " anchor"]
    finite: Bool[Tensor, " text"]
    anchors: Int64[np.ndarray, " anchor"]
    candidates: Int64[np.ndarray, " candidate"]
    batch: Batch

    @classmethod
    def of(cls, number: int, epoch: int, loss: Float[Tensor, ""], inputs: StepInput, step: Step) -> "Done | None":
        """What ``step`` has just done with ``inputs``; None when the inputs do not say what batch they came from."""
        if inputs.batch is None or step.rows is None:
            return None
        losses, finite = step.rows
        return cls(
            number=number,
            epoch=epoch,
            loss=loss.detach(),
            losses=losses,
            finite=finite,
            anchors=inputs.anchors,
            candidates=inputs.candidates,
            batch=inputs.batch,
        )


def broken_loss(step: Done, before: Done | None, dataset: Dataset, run: Path, write: bool) -> DataError:
    """The error for a step whose loss is not finite, after its batch was written to a file in the run folder.

    Args:
        step: the step.
        before: the step before it, which is at fault when no vector is finite any more.
        dataset: where the ids come from.
        run: the run folder.
        write: whether this process writes.
    """
    finite, losses = step.finite.cpu().numpy(), step.losses.float().cpu().numpy()
    broken = not finite.any() and before is not None
    file = _write([before, step] if broken and before is not None else [step], dataset, run, write)
    opening = f"The loss is {float(step.loss)} at step {step.number} (epoch {step.epoch})"
    if broken and before is not None:
        return DataError(
            f"{opening}, and no text has a finite vector: the weights broke in step {before.number}, whose loss was "
            f"{float(before.loss):.6g}. {_advice(file)}"
        )
    if not finite.all():
        queries = np.flatnonzero(~finite[step.anchors])
        documents = np.flatnonzero(~finite[step.candidates])
        named = [
            *_counted("query", "queries", queries, step.batch.anchors, _ids(dataset.queries, step.batch.index)),
            *_counted(
                "document", "documents", documents, step.batch.candidates, _ids(dataset.documents, step.batch.documents)
            ),
        ]
        return DataError(f"{opening}. Not finite are the vectors of {' and of '.join(named)}. {_advice(file)}")
    at_fault = np.flatnonzero(~np.isfinite(losses))
    named = _counted("query", "queries", at_fault, step.batch.anchors, _ids(dataset.queries, step.batch.index))
    return DataError(f"{opening}. Not finite are the losses of {''.join(named) or 'no query alone'}. {_advice(file)}")


def broken_weights(step: Done, dataset: Dataset, run: Path, write: bool) -> DataError:
    """The error for a step with a finite loss after which a weight is not finite; arguments as in ``broken_loss``."""
    file = _write([step], dataset, run, write)
    return DataError(
        f"The weights are not finite after step {step.number} (epoch {step.epoch}), though its loss was "
        f"{float(step.loss):.6g}: its gradient was not. {_advice(file)}"
    )


def _advice(file: Path) -> str:
    return (
        f"The whole batch is in {file}. If its texts are sound, lower training.learning_rate, raise the temperature of "
        "the objective, or set training.precision=float32, and train anew in another --out; --resume would come to "
        "the same step."
    )


def _counted(one: str, many: str, rows: np.ndarray, texts: list[str], ids: list[str] | None) -> list[str]:
    """``2 of 64 queries: q1 'text', q2 'text'``, or nothing when there are no rows."""
    if not len(rows):
        return []
    shown = (f"{'' if ids is None else ids[row] + ' '}{texts[row][:_SHOWN_CHARACTERS]!r}" for row in rows.tolist())
    return [f"{len(rows)} of {len(texts)} {one if len(texts) == 1 else many} ({first_few(shown, 3)})"]


def _ids(table: Texts, rows: Tensor | None) -> list[str] | None:
    return None if rows is None else [table.id(int(row)) for row in rows]


def _write(steps: list[Done], dataset: Dataset, run: Path, write: bool) -> Path:
    file = run / f"broken-step-{steps[-1].number}.jsonl"
    if write:
        lines = [json.dumps(line, ensure_ascii=False) for step in steps for line in _lines(step, dataset)]
        write_text(file, "".join(f"{line}\n" for line in lines))
    return file


def _lines(step: Done, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """The step, its anchors, its candidates, and the pairs that are judged or ignored; places count from 0."""
    batch, relation = step.batch, step.batch.relation
    finite, losses = step.finite.cpu().numpy(), step.losses.float().cpu().numpy()
    yield {"kind": "step", "step": step.number, "epoch": step.epoch, "loss": _number(float(step.loss))}
    sides = (
        ("anchor", batch.anchors, step.anchors, _ids(dataset.queries, batch.index)),
        ("candidate", batch.candidates, step.candidates, _ids(dataset.documents, batch.documents)),
    )
    for kind, texts, stands, ids in sides:
        for place, text in enumerate(texts):
            line = {"kind": kind, "step": step.number, "place": place, "id": ids[place] if ids else None, "text": text}
            line["vector_is_finite"] = bool(finite[stands[place]])
            if kind == "anchor":
                line["loss"] = _number(float(losses[place]))
            else:
                line["origin"] = Origin(int(relation.origins[place])).name.lower()
            yield line
    for row, column, grade in zip(relation.rows, relation.columns, relation.grades, strict=True):
        pair = {"kind": "judged", "step": step.number, "anchor": int(row), "candidate": int(column)}
        yield {**pair, "grade": float(grade), "positive": bool(grade >= relation.positive_from)}
    for row, column in zip(relation.ignored_rows, relation.ignored_columns, strict=True):
        yield {"kind": "ignored", "step": step.number, "anchor": int(row), "candidate": int(column)}


def _number(value: float) -> float | str:
    """JSON has no words for what is not finite."""
    return value if math.isfinite(value) else str(value)
