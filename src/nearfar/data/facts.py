"""What a data set holds, as plain numbers for a report."""

from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int32, Int64

from nearfar.data.tables import TRAIN, Dataset, Mined, Texts

WORD_EDGES = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597)
"""Lower ends of the bins of lengths in words; each bin ends where the next starts, the last never."""

MANY = 5
CHUNK = 65_536


def describe(dataset: Dataset) -> dict[str, Any]:
    """Counts of a data set, ready for JSON.

    ``queries`` counts per split those with a positive (in scored data all), ``pairs`` the relevant pairs (in scored
    data all). ``positives_per_query`` counts queries of all splits by how many documents are relevant to them.
    ``mined`` is there where negatives were mined.
    """
    facts = dataset.facts
    judged = {
        name: dataset.qrels[name] if facts.layout == "scored" else dataset.positives(name) for name in dataset.splits
    }
    found = {} if dataset.mined is None else {"mined": mined_counts(dataset, dataset.mined)}
    return {
        "name": dataset.name,
        "source": facts.source,
        "layout": facts.layout,
        "documents": len(dataset.documents),
        "searched": int(dataset.searched.sum()),
        "queries": {name: len(np.unique(judgements.query)) for name, judgements in judged.items()},
        "pairs": {name: len(judgements) for name, judgements in judged.items()},
        "duplicates": {"queries": facts.duplicate_queries, "documents": facts.duplicate_documents},
        "leaked_queries": facts.leaked_queries,
        "notes": list(facts.notes),
        "positives_per_query": positives_per_query(dataset),
        "words": {"queries": word_histogram(dataset.queries), "documents": word_histogram(dataset.documents)},
        **found,
    }


def positives_per_query(dataset: Dataset) -> dict[str, int]:
    """How many queries have 1, 2, ... relevant documents; the last key, ``5+``, holds the rest."""
    documents_of = np.bincount(dataset.nodes, minlength=1)
    counts = dict.fromkeys([*map(str, range(1, MANY)), f"{MANY}+"], 0)
    for name in dataset.splits:
        positives = dataset.positives(name)
        weights = documents_of[positives.node]
        per_query = np.bincount(positives.query, weights=weights).astype(np.int64)
        for size, queries in zip(*np.unique(per_query[per_query > 0], return_counts=True), strict=True):
            counts[str(size) if size < MANY else f"{MANY}+"] += int(queries)
    return counts


def mined_counts(dataset: Dataset, mined: Mined) -> dict[str, int]:
    """Pairs that are ``negatives``, pairs that are ``ignored``, and of the training ``queries`` with a positive those
    ``without`` a negative. A pair in several lists is one.
    """
    queries = np.unique(dataset.positives(TRAIN).query)
    return {
        "negatives": _pairs(mined.query, mined.document),
        "ignored": _pairs(mined.ignored_query, mined.ignored_document),
        "queries": len(queries),
        "without": int((~np.isin(queries, mined.query)).sum()),
    }


def _pairs(query: Int32[np.ndarray, " pair"], document: Int32[np.ndarray, " pair"]) -> int:
    """How many different pairs there are."""
    return len(np.unique(query.astype(np.int64) * (1 + int(document.max(initial=0))) + document))


def word_histogram(texts: Texts) -> dict[str, list[int]]:
    """Lengths in words between white space: ``counts[i]`` texts have at least ``edges[i]`` and fewer than
    ``edges[i + 1]`` words; the last bin is open. Empty bins at the end are left out.
    """
    counts = np.zeros(len(WORD_EDGES), dtype=np.int64)
    for start in range(0, len(texts), CHUNK):
        lengths = word_counts(texts.texts.slice(start, CHUNK))
        bins = np.searchsorted(np.array(WORD_EDGES), lengths, side="right") - 1
        counts += np.bincount(bins, minlength=len(WORD_EDGES))
    used = int(np.flatnonzero(counts).max(initial=0)) + 1
    return {"edges": list(WORD_EDGES[:used]), "counts": counts[:used].tolist()}


def word_counts(texts: pa.LargeStringArray) -> Int64[np.ndarray, " text"]:
    """The number of words of each text."""
    import pyarrow.compute as compute  # a tenth of a second, which only reports should cost

    words = compute.count_substring_regex(texts, r"[^\s\p{Z}]+")
    counts: Int64[np.ndarray, " text"] = words.to_numpy(zero_copy_only=False).astype(np.int64)
    return counts
