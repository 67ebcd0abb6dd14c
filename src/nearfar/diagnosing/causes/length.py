"""Documents that come up for their length, in place of what they say."""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float64
from scipy.stats import rankdata

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.evaluation.evaluate import BASE, TUNED
from nearfar.evaluation.scored import Known
from nearfar.statistics.paired import bootstrap_interval

_DEPTH = 10
_LIMIT = 0.15
_FEWEST = 20


def look(material: Material) -> Sequence[Sign]:
    """How much longer or shorter the wrong hits are than the relevant documents, for tuned and base model."""
    tuned, base = (_excess(material, system) for system in (TUNED, BASE))
    both = np.isfinite(tuned) & np.isfinite(base)
    if both.sum() < _FEWEST:
        raise Unmeasured(f"{int(both.sum())} queries have a wrong document among their hits; {_FEWEST} are needed.")
    tuned, base = tuned[both], base[both]
    side = -1.0 if tuned.mean() < 0 else 1.0
    before = side * float(base.mean())
    added = side * tuned - (side * base if before > 0 else 0.0)
    low, high = bootstrap_interval(added, seed=material.config.training.seed)
    word = "longer" if side > 0 else "shorter"
    geometry = material.files.geometry or {}
    correlations = {
        f"length bias of the {system} model": bias
        for system in (BASE, TUNED)
        if system in geometry and (bias := geometry[system].length_bias) is not None
    }
    return [
        Sign(
            name=f"how much {word} the wrong hits are than the relevant documents, beyond the base model",
            value=float(added.mean()),
            low=low,
            high=high,
            usual=0.0,
            limit=_LIMIT,
            sentence=f"The wrong documents among the first {_DEPTH} are {word} than the relevant ones by "
            f"{100 * abs(tuned.mean()):.0f} % of the corpus, ordered by length; for the base model it was "
            f"{100 * before:.0f} %.",
            numbers={"tuned model": float(side * tuned.mean()), "base model": before, **correlations},
        )
    ]


def _excess(material: Material, system: str) -> Float64[np.ndarray, " query"]:
    """Mean place by length, 0 to 1, of the wrong hits of each query, less that of its relevant documents."""
    dataset, task = material.dataset, material.task
    lengths = pc.utf8_length(dataset.documents.texts.take(task.corpus.rows)).to_numpy().astype(np.int64)
    place = np.full(len(dataset.documents), np.nan)
    place[task.corpus.rows] = (rankdata(lengths) - 0.5) / len(lengths)
    rows, hits = material.hits(system)
    known = Known(task.corpus, rows, dataset.positives(task.split))
    first = hits.documents[:, :_DEPTH]
    wrong = (first >= 0) & ~known.relevant(first)
    anchors, relevant = known.documents(task.corpus.own_text(rows))
    of_wrong = np.where(wrong, place[first], 0.0).sum(axis=1) / np.where(wrong.any(axis=1), wrong.sum(axis=1), np.nan)
    counts = np.bincount(anchors, minlength=len(rows)).astype(np.float64)
    sums = np.bincount(anchors, place[task.corpus.rows[relevant]], len(rows))
    of_relevant = sums / np.where(counts > 0, counts, np.nan)
    excess = np.full(len(dataset.queries), np.nan)
    excess[rows] = of_wrong - of_relevant
    asked: Float64[np.ndarray, " query"] = excess[task.queries]
    return asked


CAUSE = Cause(
    name="length",
    title="Length decides in place of meaning",
    measured="How much longer or shorter the wrong documents among the first ten are than the relevant documents of "
    "the same queries, as a share of the corpus ordered by length.",
    limit="A search that does not look at length has wrong hits about as long as the relevant documents. Where "
    "these are of unusual length they differ, but before training too: healthy runs added 5 % of the corpus at most to "
    "what the base model has. Named from 15 % on.",
    advice="Look for a length that tells positives from negatives in the training data: give negatives as long as the "
    "positives (nearfar mine finds them in the same corpus), cut documents (model.max_length), or compare by cosine.",
    look=look,
    follows=("not-finite", "collapse"),
)
