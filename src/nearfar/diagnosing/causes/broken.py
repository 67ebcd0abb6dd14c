"""Numbers that are not finite: in the loss, the weights, or the vectors."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.errors import first_few
from nearfar.evaluation.evaluate import BASE, TUNED

_ROWS = 1 << 14


def look(material: Material) -> Sequence[Sign]:
    """Broken steps of training, weights of the tuned model, kept vectors; whichever of them are there."""
    found = [*_steps(material), *_weights(material), *_vectors(material)]
    if not found:
        raise Unmeasured("There is no step, no model and no vector of this run yet.")
    return found


def _sign(what: str, broken: int, of: int, sentence: str) -> Sign:
    return Sign(
        name=what,
        value=float(broken),
        usual=0.0,
        limit=1.0,
        sentence=sentence,
        numbers={f"not finite {what}": broken, what: of},
    )


def _steps(material: Material) -> Iterator[Sign]:
    training = material.files.training
    files = sorted(material.folder.path.glob("broken-step-*.jsonl"))
    if training is None and not files:
        return
    losses = training.loss.values if training is not None else ()
    broken = sum(not math.isfinite(loss) for loss in losses) + len(files)
    sentence = "Every loss that was logged is a finite number."
    if files:
        sentence = f"Training ended in a step that was not finite; its texts are in {files[0].name}."
    elif broken:
        sentence = f"{broken} of {len(losses)} losses are not finite."
    yield _sign("losses", broken, len(losses), sentence)


def _weights(material: Material) -> Iterator[Sign]:
    try:
        weights = material.as_saved.state_dict()
    except Unmeasured:
        return
    wrong = [name for name, tensor in weights.items() if not bool(torch.isfinite(tensor).all())]
    sentence = f"Weights that are not finite: {first_few(wrong, 3)}." if wrong else "All weights are finite."
    yield _sign("weights", len(wrong), len(weights), sentence)


def _vectors(material: Material) -> Iterator[Sign]:
    for system in (BASE, TUNED):
        try:
            vectors = material.vectors(system)
        except Unmeasured:
            continue
        finite = np.concatenate(
            [np.isfinite(vectors[at : at + _ROWS]).all(axis=1) for at in range(0, len(vectors), _ROWS)]
        )
        wrong = int((~finite).sum())
        sentence = f"{wrong} of {len(vectors)} document vectors of the {system} model hold NaN or infinity."
        yield _sign(
            f"{system} vectors", wrong, len(vectors), sentence if wrong else f"All {system} vectors are finite."
        )


CAUSE = Cause(
    name="not-finite",
    title="Numbers that are not finite",
    measured="Losses, weights and document vectors that are NaN or infinite.",
    limit="One is too many: whatever is computed from it is NaN too.",
    advice="Lower training.learning_rate, set training.precision=float32, and read the texts of the broken step. "
    "If the base model's vectors are broken already, take another base model.",
    look=look,
)
