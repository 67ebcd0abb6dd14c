"""Test queries in the training data: a score that is better than the model."""

from collections.abc import Iterator, Sequence

import numpy as np

from nearfar.auditing.leaks import Part, match
from nearfar.config.auditing import DEFAULTS
from nearfar.data.tables import TRAIN
from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.evaluation.contamination import gain

_SHARE = 0.1
_GAIN = 0.01
_SHOWN = 5


def look(material: Material) -> Sequence[Sign]:
    """The share of test queries that training has nearly word by word with an answer, and what they add to the gain."""
    subject, task = material.subject, material.task
    if subject.shares_documents:
        raise Unmeasured("In data with labels all splits have the same labels, so that no pair can leak.")
    if task.split == TRAIN or TRAIN not in material.dataset.qrels:
        raise Unmeasured("There is no train split to compare with.")
    found = _leaks(Part(subject, task.split), Part(subject, TRAIN))
    leaked = np.isin(task.queries, sorted(found))
    return [*_gain(material, leaked), _share(material, leaked, found)]


def _leaks(held: Part, training: Part) -> dict[int, tuple[int, int]]:
    """By test query, a training query that is nearly the same and the answer that both have, word by word.

    Texts from one mould are nearly equal on both sides and mean different things, so the answer has to be equal.
    """
    queries = match(held, training, "query", DEFAULTS.similarity)
    documents = match(held, training, "document", 1.0)
    equal = set(zip(documents.held.tolist(), documents.training.tolist(), strict=True))
    answers, known = held.documents_of(), training.documents_of()
    found: dict[int, tuple[int, int]] = {}
    for query, other in zip(queries.held.tolist(), queries.training.tolist(), strict=True):
        shared = [mine for mine in answers[query] if any((mine, theirs) in equal for theirs in known[other])]
        if shared:
            found.setdefault(query, (other, shared[0]))
    return found


def _share(material: Material, leaked: np.ndarray, found: dict[int, tuple[int, int]]) -> Sign:
    split, dataset = material.task.split, material.dataset
    texts = (
        {
            "query": dataset.queries.text(query),
            "trained on": dataset.queries.text(other),
            "answer": dataset.documents.text(document),
        }
        for query, (other, document) in list(found.items())[:_SHOWN]
    )
    return Sign(
        name=f"{split} pairs that are trained on",
        value=float(leaked.mean()),
        usual=0.0,
        limit=_SHARE,
        sentence=f"Of {len(leaked)} {split} queries {int(leaked.sum())} are nearly word by word in the training data, "
        "with the same answer.",
        numbers={"leaked pairs": int(leaked.sum()), "queries": len(leaked)},
        examples=tuple(texts),
    )


def _gain(material: Material, leaked: np.ndarray) -> Iterator[Sign]:
    """Of runs that have been measured, and have both leaked queries and others."""
    if not leaked.any() or leaked.all():
        return
    try:
        tuned, base = material.paired()
    except Unmeasured:
        return
    difference = tuned - base
    values = {str(row): float(value) for row, value in enumerate(difference)}
    known = gain(values, [str(row) for row in np.flatnonzero(leaked)], seed=material.config.training.seed)
    yield Sign(
        name=f"what leaked pairs add to the gain in {material.measure}",
        value=known.gain,
        low=known.low,
        high=known.high,
        usual=0.0,
        limit=_GAIN,
        sentence=f"The gain over the base model is {known.all:+.3f} on all {known.queries} queries and "
        f"{known.clean:+.3f} without the {known.contaminated} that training has with an answer.",
        numbers={
            "gain": known.all,
            "gain on clean queries": known.clean,
            "gain on leaked queries": float(difference[leaked].mean()),
        },
    )


CAUSE = Cause(
    name="leak",
    title="What is measured on is also trained on",
    measured="The share of test queries that are in the training data nearly word by word with the same "
    "answer, and what these add to the gain over the base model (the estimated gain of arXiv 2411.03923).",
    limit="A point of the measure that the leaked pairs alone add, beyond chance; or one in ten test queries, "
    "whatever they add. Real sets have up to 1 %.",
    advice="nearfar audit lists them. Take the pairs out of train, or measure without these queries; until then "
    "believe the number for the clean ones.",
    look=look,
)
