"""The account of a mining job: how many candidates each source proposed, what dropped them, and how scores lie."""

from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from nearfar.config.mining import MiningOptions
from nearfar.data.arrow import coded, column, strings
from nearfar.events import Silent, Sink
from nearfar.negatives.candidates import SOURCE, Candidates, Label, Reason
from nearfar.negatives.output import document_ids, write_table
from nearfar.negatives.stages import MiningResult
from nearfar.retrieval.kinds import EXACT

BINS = 50
"""Of a histogram of scores."""

_EXAMPLES = 8
"""Candidates that are shown for each reason."""

_NOTHING = np.zeros(0, dtype=np.float32)

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
    wanted = len(candidates.positives) if options.lists == "pair" else len(result.material.queries)
    sizes = np.bincount(candidates.lists[candidates.kept], minlength=wanted)
    sources = [str(source) for source in plan.sources]
    have = len(np.unique(candidates.query[candidates.kept]))
    return {
        "queries": len(result.material.queries),
        "queries_with_negatives": have,
        "candidates": len(candidates),
        "depths": {str(depth): count for depth, count in result.depths.items()},
        "hopeless": result.hopeless,
        "kept": int(candidates.kept.sum()),
        "relabelled": int((candidates.label == Label.POSITIVE).sum()),
        "made": len(result.material.made.texts),
        "refused": {source: dict(each) for source, each in zip(sources, result.refused, strict=True) if each},
        "unanswered": {name: dict(each) for name, each in result.unanswered.items()},
        "settled": {str(part): str(each) for part, each in result.settled.items()},
        "asked": plan.selection.wanted,
        "list_sizes": {str(size): int(count) for size, count in enumerate(np.bincount(sizes)) if count},
        "funnel": funnel(candidates, sources),
        "scores": {name: _spread(candidates, name) for name in candidates.scores},
        "check": None if plan.judge is None else estimate(result, options, sink),
        "recall": recall(result, options, sink),
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


def recall(result: MiningResult, options: MiningOptions, sink: Sink = Silent()) -> dict[str, dict[str, Any]]:
    """For each search by an approximate index the share of the exact nearest that it finds, with its interval."""
    material, found = result.material, {}
    for each in result.plan.searches:
        if each.index != EXACT:
            sample = min(options.recall_queries, len(material.queries))
            share = material.store.recall(
                each.model, each.depth, each.index, sample=sample, seed=material.seed, sink=sink
            )
            found[str(each)] = {"recall": share.mean, "queries": sample, "interval": [share.low, share.high]}
    return found


def estimate(result: MiningResult, options: MiningOptions, sink: Sink = Silent()) -> dict[str, Any]:
    """The share of the negatives that are relevant after all, judged on a sample, with Wilson's 95 % interval.

    Pairs for which there is no answer are left out and counted.
    """
    material, candidates, judge = result.material, result.candidates, result.plan.judge
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
    codes = strings(["" if reason == Reason.KEPT else reason.name.lower() for reason in Reason])
    sources = strings([str(source) for source in result.plan.sources])
    names = document_ids(material.dataset, material.made)
    columns: dict[str, pa.Array] = {
        "query_id": coded(candidates.query, material.dataset.queries.ids),
        "document_id": coded(candidates.document, names),
        "positive_id": coded(candidates.positive, names),
        "source": coded(candidates.source, sources),
        "rank": column(candidates.rank),
        "rank_kept": column(candidates.places()),
        **{name: column(values, np.isnan(values)) for name, values in _in_order(candidates).items()},
        "reason": coded(candidates.reason, codes),
        "label": column(candidates.label),
        "weight": column(candidates.weight),
    }
    write_table(path, columns, {key: str(value) for key, value in sorted(stamp.items())})


def _in_order(candidates: Candidates) -> dict[str, Float32[np.ndarray, " row"]]:
    names = [SOURCE, *sorted(name for name in candidates.scores if name != SOURCE)]
    return {"score" if name == SOURCE else name: candidates.scores[name] for name in names}


def _spread(candidates: Candidates, name: str) -> dict[str, Any]:
    """Histograms of a score over common bins: of the negatives, of each reason, and of the positives."""
    values = np.concatenate([candidates.scores[name], candidates.positives.scores.get(name, _NOTHING)])
    known = np.full(len(values) - len(candidates), len(Reason), dtype=np.int8)  # a group behind those of the reasons
    groups, finite = np.concatenate([candidates.reason, known]), np.isfinite(values)
    if not finite.all():
        values, groups = values[finite], groups[finite]
    if not len(values):
        return {"edges": [], "counts": {}}
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    place = ((values - np.float32(low)) * np.float32(BINS / (high - low))).astype(np.int16).clip(0, BINS - 1)
    counts = np.bincount(groups.astype(np.int16) * BINS + place, minlength=BINS * (1 + len(Reason))).reshape(-1, BINS)
    names = [*(reason.name.lower() for reason in Reason), "known positives"]
    found = {group: own.tolist() for group, own in zip(names, counts, strict=True) if own.any()}
    return {"edges": np.linspace(low, high, BINS + 1).tolist(), "counts": found}


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
