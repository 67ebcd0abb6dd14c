"""The pairs of an evaluation with their scores, from the hits and vectors that it has in memory."""

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from nearfar.data.tables import Qrels
from nearfar.evaluation.calibrated import Scored
from nearfar.evaluation.geometry import unit
from nearfar.evaluation.retrieve import Corpus, Found

RELEVANT = 20
"""Relevant documents of a judgement that are scored, evenly spread: a label may have thousands."""
RANDOM = 128
"""Documents of the sample that every query is compared with."""
_PAIRS = 1 << 14
"""Pairs whose vectors are held at once."""


def score_split(found: Found, corpus: Corpus, queries: np.ndarray, positives: Qrels, split: str, seed: int) -> Scored:
    """Score what is known about the queries of a split: hits, relevant documents, and a sample of the corpus.

    The sample is the same for every query, and for every system with the same seed. Scores are rounded to about six
    digits, so that equal vectors have equal scores however they were multiplied.

    Args:
        found: hits and vectors; the queries of ``found`` are ``queries``.
        corpus: what was searched.
        queries: rows of the query table, ascending.
        positives: the relevant pairs.
        split: its name.
        seed: of the sample.

    Raises:
        DataError: a vector holds NaN or infinity.
    """
    assert found.queries is not None  # an encoder's hits, not those of BM25
    assert found.documents is not None
    similarity = found.similarity
    own = corpus.own_text(queries)
    known = Known(corpus, queries, positives)
    anchors, places = known.documents(own)
    sample = np.random.default_rng(seed).permutation(len(corpus.rows))[:RANDOM]
    sample = np.sort(sample)
    left = unit(found.queries, "query vectors") if similarity == "cosine" else found.queries
    right = np.asarray(found.documents[sample])
    right = unit(right, "document vectors") if similarity == "cosine" else right
    random = (left @ right.T).astype(np.float32)
    rows, columns = np.nonzero(~known.relevant(corpus.rows[sample][None, :]) & (sample != own[:, None]))
    hits = found.hits
    hit_query, hit_rank = np.nonzero(hits.documents >= 0)
    return Scored(
        split=split,
        totals=known.totals(own),
        hit_query=hit_query.astype(np.int64),
        hit_rank=hit_rank.astype(np.int64),
        hit_scores=_settled(hits.scores[hit_query, hit_rank]),
        hit_relevant=known.relevant(hits.documents)[hit_query, hit_rank],
        relevant_query=anchors,
        relevant_scores=_settled(_dots(left, found.documents, anchors, places, similarity)),
        random_query=rows.astype(np.int64),
        random_scores=_settled(random[rows, columns]),
    )


class Known:
    """The relevant documents of some queries."""

    def __init__(self, corpus: Corpus, queries: np.ndarray, positives: Qrels) -> None:
        """``positives`` of other queries are passed over."""
        self.nodes = corpus.dataset.nodes
        self.rows = corpus.rows
        self.queries = len(queries)
        mine = positives.of(np.asarray(queries, dtype=np.int64))
        self.anchor = np.searchsorted(queries, mine.query).astype(np.int64)
        self.node = mine.node.astype(np.int64)
        self.width = int(max(self.nodes.max(initial=0), self.node.max(initial=0))) + 1
        self.pairs = np.unique(self.anchor * self.width + self.node)
        searched = self.nodes[corpus.rows]
        self.order = np.argsort(searched, kind="stable")
        self.starts = np.searchsorted(searched[self.order], np.arange(self.width + 1))

    def relevant(self, rows: Int[np.ndarray, "_query rank"]) -> Bool[np.ndarray, "query rank"]:
        """Which rows of the document table are relevant; one line for each query, or one for all."""
        keys = np.arange(self.queries)[:, None] * self.width + self.nodes[rows.clip(min=0)]
        return np.asarray(np.isin(keys, self.pairs) & (rows >= 0))

    def totals(self, own: Int64[np.ndarray, " query"]) -> Int64[np.ndarray, " query"]:
        """How many searched documents are relevant to each query, without its own text; at least 1."""
        sizes = np.diff(self.starts)[self.node]
        counts = np.bincount(self.anchor, sizes, self.queries).astype(np.int64)
        counts -= (own >= 0) & self.relevant(np.where(own >= 0, self.rows[own], -1)[:, None])[:, 0]
        return np.maximum(counts, 1)

    def documents(
        self, own: Int64[np.ndarray, " query"]
    ) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
        """Relevant pairs as (place among the queries, place in the corpus), at most ``RELEVANT`` for a judgement."""
        sizes = np.diff(self.starts)[self.node]
        taken = np.minimum(sizes, RELEVANT)
        which = np.repeat(np.arange(len(taken)), taken)
        within = np.arange(len(which)) - np.repeat(np.cumsum(taken) - taken, taken)
        places = self.order[self.starts[self.node[which]] + within * sizes[which] // taken[which].clip(min=1)]
        anchors = self.anchor[which]
        keep = places != own[anchors]
        return anchors[keep].astype(np.int64), places[keep].astype(np.int64)


def _dots(
    left: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "searched dim"],
    anchors: Int64[np.ndarray, " pair"],
    places: Int64[np.ndarray, " pair"],
    similarity: str,
) -> Float32[np.ndarray, " pair"]:
    scores = np.zeros(len(anchors), dtype=np.float32)
    for start in range(0, len(anchors), _PAIRS):
        part = slice(start, start + _PAIRS)
        right = np.asarray(documents[places[part]])
        right = unit(right, "document vectors") if similarity == "cosine" else right
        scores[part] = np.einsum("pd,pd->p", left[anchors[part]], right)
    return scores


def _settled(scores: Float32[np.ndarray, " pair"]) -> Float32[np.ndarray, " pair"]:
    """Scores without the last digits, which depend on the order of additions."""
    largest = float(np.abs(scores).max(initial=0.0))
    if not np.isfinite(largest) or largest == 0:
        return scores
    step = 2.0 ** (np.ceil(np.log2(largest)) - 20)
    settled: Float32[np.ndarray, " pair"] = (np.round(scores / step) * step).astype(np.float32)
    return settled
