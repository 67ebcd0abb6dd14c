"""The account of a mining job: how many candidates each source proposed, what dropped them, and how scores lie."""

from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from jaxtyping import Float32, Int32

from nearfar.config.mining import MiningOptions
from nearfar.events import Silent, Sink
from nearfar.files import atomic
from nearfar.negatives.candidates import SOURCE, Candidates, Label, Reason
from nearfar.negatives.output import document_ids
from nearfar.negatives.stages import MiningResult

BINS = 50
"""Of a histogram of scores."""

_EXAMPLES = 8
"""Candidates that are shown for each reason."""

_CHECK, _SHOWN = 5, 6
"""Salts of the draws of a sample that is judged, and of examples."""


def account(result: MiningResult, options: MiningOptions, sink: Sink = Silent()) -> dict[str, Any]:
    """What happened to all candidates, as JSON.

    Args:
        result: of the job.
        options: its settings.
        sink: takes progress of the check.
    """
    candidates, plan = result.candidates, result.plan
    sizes = np.bincount(candidates.lists[candidates.kept], minlength=_lists(candidates))
    have = len(np.unique(candidates.query[candidates.kept]))
    return {
        "queries": len(result.material.queries),
        "queries_with_negatives": have,
        "candidates": len(candidates),
        "kept": int(candidates.kept.sum()),
        "relabelled": int((candidates.label == Label.POSITIVE).sum()),
        "made": len(result.material.made.texts),
        "list_sizes": {str(size): int(count) for size, count in enumerate(np.bincount(sizes)) if count},
        "funnel": funnel(candidates, [str(source) for source in plan.sources]),
        "scores": {name: _spread(candidates, name) for name in candidates.scores},
        "check": None if plan.check is None else estimate(result, options, sink),
    }


def funnel(candidates: Candidates, sources: list[str]) -> list[dict[str, Any]]:
    """For each source how many it proposed, how many were dropped by each reason, and how many are left.

    What it proposed is the sum of all the others.
    """
    rows = []
    for number, source in enumerate(sources):
        own = candidates.source == number
        counts = np.bincount(candidates.reason[own], minlength=len(Reason))
        dropped = {reason.name.lower(): int(counts[reason]) for reason in Reason if reason and counts[reason]}
        rows.append(
            {"source": source, "proposed": int(own.sum()), "dropped": dropped, "kept": int(counts[Reason.KEPT])}
        )
    return rows


def estimate(result: MiningResult, options: MiningOptions, sink: Sink = Silent()) -> dict[str, Any]:
    """The share of the negatives that are relevant after all, judged on a sample, with Wilson's 95 % interval.

    Pairs for which there is no answer are left out and counted.
    """
    material, candidates, judge = result.material, result.candidates, result.plan.check
    assert judge is not None
    kept = np.flatnonzero(candidates.kept)
    size = min(options.check_sample, len(kept))
    rows = np.sort(np.random.default_rng((material.seed, _CHECK)).choice(kept, size, replace=False))
    scores = judge.score(material, candidates.query[rows], candidates.document[rows], sink)
    answered = ~np.isnan(scores)
    relevant, judged = int((scores[answered] >= options.check_from).sum()), int(answered.sum())
    low, high = wilson(relevant, judged)
    return {
        "by": str(judge),
        "from": options.check_from,
        "sample": size,
        "judged": judged,
        "relevant": relevant,
        "share": relevant / judged if judged else None,
        "interval": [low, high],
    }


def wilson(hits: int, trials: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's interval of a share; (0, 1) where nothing was tried."""
    if not trials:
        return 0.0, 1.0
    share, slack = hits / trials, z * z / trials
    centre = (share + slack / 2) / (1 + slack)
    half = z * sqrt(share * (1 - share) / trials + slack / (4 * trials)) / (1 + slack)
    return max(0.0, centre - half), min(1.0, centre + half)


def examples(result: MiningResult) -> list[dict[str, Any]]:
    """Some candidates of each reason and some that were kept, with texts and scores, drawn by the job's seed."""
    candidates, material = result.candidates, result.material
    found = []
    for reason in Reason:
        rows = np.flatnonzero(candidates.reason == reason)
        if not len(rows):
            continue
        generator = np.random.default_rng((material.seed, _SHOWN, int(reason)))
        drawn = generator.choice(rows, min(_EXAMPLES, len(rows)), replace=False)
        found += [_example(result, row) for row in np.sort(drawn).tolist()]
    return found


def write_candidates(path: Path, result: MiningResult, stamp: Mapping[str, str]) -> None:
    """Write every candidate with its one reason as Parquet; the reason of a negative that was kept is empty.

    Args:
        path: the file.
        result: of the job.
        stamp: what the file follows from: fingerprints, the step of training that the model is from.
    """
    candidates, material = result.candidates, result.material
    codes = pa.array(["" if reason == Reason.KEPT else reason.name.lower() for reason in Reason])
    names = document_ids(material.dataset, material.made)
    columns: dict[str, pa.Array] = {
        "query_id": _chosen(candidates.query, material.dataset.queries.ids),
        "document_id": _chosen(candidates.document, names),
        "positive_id": _chosen(candidates.positive, names),
        "source": pa.DictionaryArray.from_arrays(
            pa.array(candidates.source), pa.array([str(source) for source in result.plan.sources])
        ),
        "rank": pa.array(candidates.rank),
        "rank_kept": pa.array(candidates.places()),
        **{name: pa.array(_null(values)) for name, values in _in_order(candidates).items()},
        "reason": pa.DictionaryArray.from_arrays(pa.array(candidates.reason), codes),
        "label": pa.array(candidates.label),
        "weight": pa.array(candidates.weight),
    }
    table = pa.table(columns).replace_schema_metadata({key: str(value) for key, value in sorted(stamp.items())})
    with atomic(path) as partial:
        parquet.write_table(table, partial, compression="zstd")


def _chosen(rows: Int32[np.ndarray, " row"], ids: pa.LargeStringArray) -> pa.DictionaryArray:
    """Ids by row, none for row -1; each id is there once."""
    return pa.DictionaryArray.from_arrays(pa.array(rows, mask=rows < 0), ids)


def _in_order(candidates: Candidates) -> dict[str, Float32[np.ndarray, " row"]]:
    names = [SOURCE, *sorted(name for name in candidates.scores if name != SOURCE)]
    return {"score" if name == SOURCE else name: candidates.scores[name] for name in names}


def _null(values: Float32[np.ndarray, " row"]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _lists(candidates: Candidates) -> int:
    return int(candidates.lists.max(initial=-1)) + 1


def _spread(candidates: Candidates, name: str) -> dict[str, Any]:
    """Histograms of a score over common bins: of the negatives, of each reason, and of the positives."""
    values = candidates.scores[name]
    groups: dict[str, np.ndarray] = {"kept": values[candidates.kept]}
    for reason in Reason:
        if reason and len(own := values[candidates.reason == reason]):
            groups[reason.name.lower()] = own
    if name in candidates.positives.scores:
        groups["known positives"] = candidates.positives.scores[name]
    groups = {group: own[np.isfinite(own)] for group, own in groups.items()}
    groups = {group: own for group, own in groups.items() if len(own)}
    if not groups:
        return {"edges": [], "counts": {}}
    every = np.concatenate(list(groups.values()))
    edges = np.linspace(float(every.min()), float(every.max()) or 1.0, BINS + 1)
    if edges[0] >= edges[-1]:
        edges = np.linspace(edges[0] - 0.5, edges[0] + 0.5, BINS + 1)
    counts = {group: np.histogram(own, edges)[0].tolist() for group, own in groups.items()}
    return {"edges": [float(edge) for edge in edges], "counts": counts}


def _example(result: MiningResult, row: int) -> dict[str, Any]:
    candidates, material = result.candidates, result.material
    query, document = int(candidates.query[row]), int(candidates.document[row])
    own = candidates.positives.document[candidates.positives.query == query]
    reason = Reason(int(candidates.reason[row]))
    return {
        "reason": "" if reason == Reason.KEPT else reason.name.lower(),
        "source": str(result.plan.sources[int(candidates.source[row])]),
        "rank": int(candidates.rank[row]),
        "query": material.dataset.queries.text(query),
        "candidate": material.document_texts([document])[0],
        "positive": material.document_texts(own[:1])[0],
        "scores": {
            name: float(values[row]) for name, values in _in_order(candidates).items() if np.isfinite(values[row])
        },
    }
