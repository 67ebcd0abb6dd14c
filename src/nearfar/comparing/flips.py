"""What systems break: queries that fall against the baseline, with the texts to judge that by."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int64

from nearfar.comparing.selection import Evidence, Selected
from nearfar.data.tables import Dataset
from nearfar.evaluation.comparison import Flip, FlipsOf
from nearfar.statistics.flips import Flips, flips_of_drop
from nearfar.statistics.hierarchical import hierarchical

THRESHOLD = 0.05
"""A fall of the measure by more than this is a flip, as in MUSCLE's use for measures that are no yes or no."""
_SHOWN, _CHARACTERS = 10, 400

Reader = Callable[[str], tuple[Dataset, str] | None]
"""The tables and the split of a data set by its name, where they are at hand."""


def flips(evidence: Evidence, selected: Sequence[Selected], read: Reader) -> tuple[FlipsOf, ...]:
    """Flips of every system against the baseline on every data set; of two systems, the first is the baseline."""
    baseline = evidence.baseline
    if baseline is None and len(evidence.systems) == 2:
        baseline = evidence.systems[0].name
    return tuple(
        _flips(evidence, part, baseline, system, read)
        for part in selected
        if baseline is not None and baseline in part.values
        for system in part.values
        if system != baseline
    )


def _flips(evidence: Evidence, part: Selected, baseline: str, system: str, read: Reader) -> FlipsOf:
    old, new = part.values[baseline], part.values[system]
    rounds = max(len(old), len(new))
    found = [flips_of_drop(old[at % len(old)], new[at % len(new)], threshold=THRESHOLD) for at in range(rounds)]
    fell = np.zeros((rounds, len(part.queries)))
    for row, each in zip(fell, found, strict=True):
        row[list(each.negative)] = 1.0
    low, high = found[0].low, found[0].high  # of one seed: Wilson's, which knows that it is a share
    if rounds > 1:
        whole = hierarchical({part.data_set: fell}, shared_seeds=False, confidence=evidence.confidence)
        low, high = max(0.0, whole.low), min(1.0, whole.high)
    again = [flips_of_drop(old[at], old[at + 1], threshold=THRESHOLD) for at in range(len(old) - 1)]
    change = new.mean(axis=0) - old.mean(axis=0)
    worst = [at for at in np.argsort(change, kind="stable").tolist() if fell[:, at].any() and change[at] < 0]
    return FlipsOf(
        system=system,
        baseline=baseline,
        data_set=part.data_set,
        threshold=THRESHOLD,
        negative_rate=_rate(found),
        low=low,
        high=high,
        positive_rate=float(np.mean([each.positive_rate for each in found])),
        again_rate=_rate(again) if again else None,
        worst=tuple(
            _flip(evidence, part, (baseline, system), at, np.flatnonzero(fell[:, at]), read) for at in worst[:_SHOWN]
        ),
    )


def _rate(found: Sequence[Flips]) -> float:
    return float(np.mean([each.negative_rate for each in found]))


def _flip(
    evidence: Evidence,
    part: Selected,
    systems: tuple[str, str],
    at: int,
    fell: Int64[np.ndarray, " fell"],
    read: Reader,
) -> Flip:
    """One query with its texts; ``fell`` has the places of the seeds that it fell in."""
    query_id, tables = part.queries[at], read(part.data_set)
    query = wanted = before = after = ""
    if tables is not None:
        dataset, split = tables
        row = dataset.queries.row_of[query_id]
        query, wanted = _text(dataset.queries.text(row)), _wanted(dataset, split, row)
        before, after = (_first(evidence, part, name, int(fell[0]), query_id, dataset) for name in systems)
    values = [float(part.values[name][:, at].mean()) for name in systems]
    return Flip(
        query_id=query_id,
        query=query,
        before=values[0],
        after=values[1],
        seeds=len(fell),
        wanted=wanted,
        found_before=before,
        found_after=after,
    )


def _wanted(dataset: Dataset, split: str, query: int) -> str:
    """A relevant document of a query that is searched; empty where there is none."""
    positives = dataset.positives(split)
    starts, order = dataset.documents_by_node
    for node in positives.node[positives.query == query].tolist():
        documents = order[starts[node] : starts[node + 1]] if node + 1 < len(starts) else order[:0]
        for document in documents[dataset.searched[documents]].tolist():
            return _text(dataset.documents.text(document))
    return ""


def _first(evidence: Evidence, part: Selected, system: str, place: int, query_id: str, dataset: Dataset) -> str:
    """The first document that a system found for a query with the seed at a place."""
    seed = part.seeds[place] if system in part.trained else None
    measured = evidence.measured[system, part.data_set, seed]
    if not measured.first:
        return ""
    document = measured.first[measured.queries.index(query_id)]
    return _text(dataset.documents.text(dataset.documents.row_of[document])) if document else ""


def _text(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
