"""What a report shows beside the means: score histograms, queries won and lost, and a map of the space."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32, Float64, Int64

from nearfar.data.tables import Dataset, Qrels
from nearfar.evaluation.retrieve import Corpus, Found

EXAMPLES = 12
"""Queries shown as won and as lost."""

_SHOWN_CHARACTERS = 1200
_MAP_QUERIES = 150
_MAP_OTHERS = 250
_MAP_CHARACTERS = 160


def score_pairs(
    found: Found, corpus: Corpus, queries: np.ndarray, positives: Qrels, cosine: bool, seed: int
) -> pa.Table:
    """Scores of relevant pairs, of each query's best wrong document, and of random pairs.

    Returns a table of ``kind`` (``positive``, ``negative``, ``random``) and ``score``.
    """
    assert found.queries is not None  # an encoder's hits, not those of BM25
    assert found.documents is not None
    left, right = _unit(found.queries, cosine), np.asarray(found.documents)
    anchors, places = _relevant_places(corpus, queries, positives)
    relevant = _dots(left[anchors], _unit(right[places], cosine))
    wrong = _best_wrong(found, corpus, queries, positives)
    random = np.random.default_rng(seed).integers(len(right), size=len(left))
    kinds = {"positive": relevant, "negative": wrong, "random": _dots(left, _unit(right[random], cosine))}
    return pa.table(
        {
            "kind": np.repeat(list(kinds), [len(scores) for scores in kinds.values()]),
            "score": np.concatenate(list(kinds.values())).astype(np.float64),
        }
    )


def examples(
    dataset: Dataset,
    split: str,
    queries: np.ndarray,
    measure: str,
    scores: Mapping[str, Float64[np.ndarray, " query"]],
    found: Mapping[str, Found],
) -> dict[str, Any]:
    """The queries that gained and lost most from ``base`` to ``tuned``, with the first three documents of both."""
    change = scores["tuned"] - scores["base"]
    order = np.argsort(-change, kind="stable")
    won = [place for place in order[:EXAMPLES] if change[place] > 0]
    lost = [place for place in order[::-1][:EXAMPLES] if change[place] < 0]
    positives = dataset.positives(split)

    def show(place: int) -> dict[str, Any]:
        query = int(queries[place])
        nodes = positives.node[positives.query == query]
        relevant = np.flatnonzero(np.isin(dataset.nodes, nodes) & dataset.searched)[:3]
        return {
            "query_id": dataset.queries.id(query),
            "query": short(dataset.queries.text(query)),
            "before": float(scores["base"][place]),
            "after": float(scores["tuned"][place]),
            "relevant": [document(dataset, int(row)) for row in relevant],
            **{system: first_three(dataset, found[system], place, nodes) for system in ("base", "tuned")},
        }

    return {
        "measure": measure,
        "won": [show(int(place)) for place in won],
        "lost": [show(int(place)) for place in lost],
    }


def space_map(found: Found, corpus: Corpus, queries: np.ndarray, positives: Qrels, cosine: bool, seed: int) -> pa.Table:
    """Places in the plane, by t-SNE, of some queries, a document relevant to each, and random documents.

    The same texts are drawn for every system with the same seed. ``pair`` joins a query and its document; it is -1
    for the others.
    """
    assert found.queries is not None  # an encoder's hits, not those of BM25
    assert found.documents is not None
    generator = np.random.default_rng(seed)
    anchors, places = _relevant_places(corpus, queries, positives)
    first = np.unique(anchors, return_index=True)[1]
    first = np.sort(generator.permutation(first)[:_MAP_QUERIES])
    anchors, places = anchors[first], places[first]
    others = np.setdiff1d(np.arange(len(corpus.rows)), places)
    others = np.sort(generator.permutation(others)[:_MAP_OTHERS])
    shown = np.concatenate([places, others])
    vectors = np.concatenate([found.queries[anchors], np.asarray(found.documents)[shown]])
    plane = _plane(_unit(vectors, cosine), seed)
    texts = corpus.dataset
    query_rows, document_rows = np.asarray(queries)[anchors], corpus.rows[shown]
    return pa.table(
        {
            "kind": ["query"] * len(anchors) + ["document"] * len(shown),
            "id": [texts.queries.id(int(row)) for row in query_rows]
            + [texts.documents.id(int(row)) for row in document_rows],
            "text": [short(text, 160) for text in texts.queries.take(query_rows) + texts.documents.take(document_rows)],
            "x": plane[:, 0],
            "y": plane[:, 1],
            "pair": np.concatenate([np.arange(len(anchors)), np.arange(len(anchors)), np.full(len(others), -1)]),
        }
    )


def _plane(vectors: Float32[np.ndarray, "text dim"], seed: int) -> Float64[np.ndarray, "text 2"]:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if len(vectors) < 8:  # too few for neighbourhoods
        return np.pad(vectors[:, :2].astype(np.float64), ((0, 0), (0, max(0, 2 - vectors.shape[1]))))
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    with threadpool_limits(1):  # so few points: threads that wait for one another take ten times as long
        embedded = TSNE(perplexity=perplexity, init="pca", metric="euclidean", random_state=seed).fit_transform(vectors)
    return np.asarray(embedded, dtype=np.float64)


def _relevant_places(
    corpus: Corpus, queries: np.ndarray, positives: Qrels
) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
    """Relevant pairs as (place among the queries, place in the corpus); one document for each judgement."""
    nodes = corpus.dataset.nodes[corpus.rows]
    order = np.argsort(nodes, kind="stable")
    place = np.searchsorted(nodes[order], positives.node).clip(max=len(order) - 1)
    present = nodes[order][place] == positives.node
    anchor = np.searchsorted(queries, positives.query).clip(max=len(queries) - 1)
    keep = present & (np.asarray(queries)[anchor] == positives.query)
    return anchor[keep].astype(np.int64), order[place[keep]].astype(np.int64)


def _best_wrong(found: Found, corpus: Corpus, queries: np.ndarray, positives: Qrels) -> Float32[np.ndarray, " query"]:
    """The score of the best document of each query that is not relevant to it; queries without one are left out."""
    width = int(corpus.dataset.nodes.max()) + 1
    known = positives.query.astype(np.int64) * width + positives.node
    documents = found.hits.documents
    hit = np.asarray(queries, dtype=np.int64)[:, None] * width + corpus.dataset.nodes[documents.clip(min=0)]
    wrong = ~np.isin(hit, known) & (documents >= 0)
    first = wrong.argmax(axis=1)
    rows = np.flatnonzero(wrong.any(axis=1))
    best: Float32[np.ndarray, " query"] = found.hits.scores[rows, first[rows]]
    return best


def first_three(dataset: Dataset, found: Found, place: int, nodes: np.ndarray) -> list[dict[str, Any]]:
    """The first three documents of a query, with scores and whether they are of the nodes that are relevant."""
    hits = found.hits
    return [
        {
            **document(dataset, int(row)),
            "score": float(score),
            "relevant": bool(np.isin(dataset.nodes[row], nodes)),
        }
        for row, score in zip(hits.documents[place, :3], hits.scores[place, :3], strict=True)
        if row >= 0
    ]


def document(dataset: Dataset, row: int) -> dict[str, str]:
    """Id and text of a document."""
    return {"id": dataset.documents.id(row), "text": short(dataset.documents.text(row))}


def short(text: str, limit: int = _SHOWN_CHARACTERS) -> str:
    """The beginning of a text that is too long for a page."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _dots(left: Float[np.ndarray, "pair dim"], right: Float[np.ndarray, "pair dim"]) -> Float[np.ndarray, " pair"]:
    dots: Float[np.ndarray, " pair"] = np.einsum("pd,pd->p", left, right)
    return dots


def _unit(vectors: Float32[np.ndarray, "text dim"], cosine: bool) -> Float32[np.ndarray, "text dim"]:
    if not cosine:
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Float32[np.ndarray, "text dim"] = vectors / np.maximum(norms, np.float32(1e-12))
    return unit
