"""What is written beside the scores of encoders: ``calibration.json`` and ``geometry.json``, one entry for a system."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float32, Int64

from nearfar.data.tables import DEV, Qrels
from nearfar.evaluation import geometry
from nearfar.evaluation.calibrated import Calibration, calibrate
from nearfar.evaluation.retrieve import Corpus, Found
from nearfar.evaluation.scored import Known, score_split
from nearfar.evaluation.space import SAMPLE, Geometry, alarms
from nearfar.files import write_json

CALIBRATION, GEOMETRY = "calibration.json", "geometry.json"
QUERIES = 5000
"""Queries whose pairs are looked at: a bound on memory."""


def calibration_of(
    found: Found,
    held: tuple[Found, np.ndarray] | None,
    corpus: Corpus,
    queries: np.ndarray,
    split: str,
    *,
    confidence: float,
    seed: int,
) -> Calibration:
    """What the scores of a system are good for.

    Args:
        found: hits and vectors for ``queries``.
        held: hits and vectors for dev queries, and their rows, to fit on; None fits on half of ``queries``.
        corpus: what was searched.
        queries: rows of the query table; of more than ``QUERIES``, a sample counts.
        split: whose queries they are.
        confidence: of intervals and promises.
        seed: of what is drawn.

    Raises:
        DataError: a vector holds NaN or infinity.
    """
    dataset = corpus.dataset
    if len(queries) > QUERIES:
        kept = np.sort(np.random.default_rng(seed).permutation(len(queries))[:QUERIES])
        found, queries = found.only(kept), queries[kept]
    measured = score_split(found, corpus, queries, dataset.positives(split), split, seed)
    fitted = None
    if held is not None:
        fitted = score_split(held[0], corpus, held[1], dataset.positives(DEV), DEV, seed)
    return calibrate(measured, fitted, confidence=confidence, seed=seed)


def geometry_of(found: Found, corpus: Corpus, queries: np.ndarray, positives: Qrels, seed: int) -> Geometry:
    """The shape of the space of a system, from at most ``SAMPLE`` vectors of a side.

    Raises:
        DataError: one of these vectors holds NaN or infinity.
    """
    assert found.queries is not None  # an encoder's hits, not those of BM25
    assert found.documents is not None
    places = _sample(len(corpus.rows), seed)
    left = geometry.unit(found.queries[_sample(len(queries), seed)], "query vectors")
    right = geometry.unit(np.asarray(found.documents[places]), "document vectors")
    clouds = {
        side: geometry.cloud(vectors) if len(vectors) > 1 else None
        for side, vectors in (("queries", left), ("documents", right))
    }
    rows = corpus.rows[places]
    lengths = pc.utf8_length(corpus.dataset.documents.texts.take(rows)).to_numpy().astype(np.int64)
    hits = found.hits.documents
    return Geometry(
        **clouds,
        alignment=_alignment(found.queries, found.documents, corpus, queries, positives, seed),
        tolerance=geometry.tolerance(right, corpus.dataset.nodes[rows]) if corpus.dataset.labels is not None else None,
        gap=geometry.gap(left, right),
        separator=geometry.separator_accuracy(left[: SAMPLE // 2], right[: SAMPLE // 2], seed=seed),
        length_bias=geometry.length_bias(left, right, lengths),
        hubs=geometry.hubs(np.where(hits >= 0, np.searchsorted(corpus.rows, hits), -1), len(corpus.rows)),
        alarms=tuple(alarm for side, one in clouds.items() if one is not None for alarm in alarms(side, one)),
    )


def write_profile(folder: Path, calibrations: Mapping[str, Calibration], geometries: Mapping[str, Geometry]) -> None:
    """Write both files, by system; nothing where no system has vectors.

    Raises:
        ResourceError: a file cannot be written.
    """
    for name, values in ((CALIBRATION, calibrations), (GEOMETRY, geometries)):
        if values:
            write_json(folder / name, {"systems": {system: asdict(value) for system, value in values.items()}})


def _sample(count: int, seed: int) -> Int64[np.ndarray, " place"]:
    """Places of a sample in an order that the seed gives: a part of the sample is a sample too."""
    return np.random.default_rng(seed).permutation(count)[:SAMPLE].astype(np.int64)


def _alignment(
    queries: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "searched dim"],
    corpus: Corpus,
    rows: np.ndarray,
    positives: Qrels,
    seed: int,
) -> float | None:
    anchors, places = Known(corpus, rows, positives).documents(corpus.own_text(rows))
    chosen = _sample(len(anchors), seed)
    if not len(chosen):
        return None
    right = geometry.unit(np.asarray(documents[places[chosen]]), "document vectors")
    return geometry.alignment(geometry.unit(queries[anchors[chosen]], "query vectors"), right)
