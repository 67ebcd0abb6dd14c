"""Judgements that a ranking contradicts: unjudged or negative documents on top, relevant ones that are not found."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from nearfar.auditing.finding import Finding, Ledger
from nearfar.auditing.near import Pairs
from nearfar.auditing.subject import Subject, places_by_key
from nearfar.data.tables import TRAIN, UNSPLIT
from nearfar.types import Hits


@dataclass(frozen=True, eq=False)
class Ranked:
    """Rankings of some queries of a split, with what is known of every place.

    Attributes:
        subject: the data set.
        split: whose judgements count.
        queries: rows of the query table.
        hits: over rows of the document table, other splits' documents included.
    """

    subject: Subject
    split: str
    queries: Int64[np.ndarray, " query"]
    hits: Hits

    @property
    def there(self) -> Bool[np.ndarray, "query rank"]:
        """Places that hold a document which counts: outside of training, one that is searched."""
        rows = self.hits.documents
        counted = self.subject.dataset.searched[rows] | (self.split in (TRAIN, UNSPLIT))
        there: Bool[np.ndarray, "query rank"] = (rows >= 0) & counted
        return there

    def judged(self, relevant: bool) -> Bool[np.ndarray, "query rank"]:
        """Places whose document is judged relevant to the query, or judged not relevant."""
        dataset = self.subject.dataset
        qrels = dataset.qrels[self.split]
        chosen = (qrels.grade >= dataset.positive_from) == relevant
        return self.there & np.isin(self.pair_keys, self.keys_of(qrels.query[chosen], qrels.node[chosen]))

    @property
    def pair_keys(self) -> Int64[np.ndarray, "query rank"]:
        """A number for the query and node of each place."""
        nodes = self.subject.dataset.nodes[self.hits.documents]
        return self.keys_of(self.queries[:, None], nodes)

    def keys_of(self, queries: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """A number for each pair of query and node."""
        width = int(self.subject.dataset.nodes.max(initial=0)) + 1
        keys: np.ndarray = queries.astype(np.int64) * width + nodes
        return keys


def find_false_negatives(ranked: Ranked, twins: Pairs, share: float, lead: float, ledger: Ledger) -> None:
    """Documents that may be relevant though nobody said so. Not for labelled data.

    From the ranking: every judged negative that scores at least ``share`` of what the query's best relevant document
    does, and the best unjudged document where it scores ``lead`` more. From the texts: near-duplicates of relevant
    documents. Both signs together are surer than one.
    """
    found: dict[tuple[int, int], Finding] = {}
    for finding in (*_above_the_positive(ranked, share, lead), *_twins_of_positives(ranked, twins)):
        assert finding.query is not None
        assert finding.document is not None
        pair = finding.query.row, finding.document.row
        if pair in found:
            above = found[pair]
            finding = replace(
                above, sure=1 - (1 - above.sure) * (1 - finding.sure), note=f"{above.note}; {finding.note}"
            )
        found[pair] = finding
    ledger.add(found.values(), {("false_negative", ranked.split): len(ranked.queries)})


def _above_the_positive(ranked: Ranked, share: float, lead: float) -> Iterator[Finding]:
    hits, subject = ranked.hits, ranked.subject
    positive, negative, there = ranked.judged(True), ranked.judged(False), ranked.there
    scores = hits.scores.astype(np.float64)
    best = np.where(positive, scores, -np.inf).max(axis=1, initial=-np.inf)
    known = np.isfinite(best)
    reference = np.where(known, best, 0.0)
    scale = np.abs(reference)  # scores may be negative: a share of one is further down
    unjudged = there & ~positive & ~negative & known[:, None] & (scores >= (reference + lead * scale)[:, None])
    negative &= known[:, None] & (scores >= (reference - (1 - share) * scale)[:, None])
    first = np.zeros_like(unjudged)
    rows = np.flatnonzero(unjudged.any(axis=1))
    first[rows, unjudged[rows].argmax(axis=1)] = True
    place_of = np.where(positive, scores, -np.inf).argmax(axis=1)
    for query, rank in np.argwhere(negative | first).tolist():
        score, own = float(scores[query, rank]), float(reference[query])
        yield Finding(
            kind="false_negative",
            split=ranked.split,
            query=subject.query(int(ranked.queries[query])),
            document=subject.document(int(hits.documents[query, rank])),
            other=subject.document(int(hits.documents[query, place_of[query]])),
            score=score,
            gap=score - own,
            sure=_relative(score, own),
            note=f"{'judged not relevant' if negative[query, rank] else 'not judged'}, rank {rank + 1}; "
            f"the best relevant one has rank {int(place_of[query]) + 1}",
        )


def _twins_of_positives(ranked: Ranked, twins: Pairs) -> Iterator[Finding]:
    """For each relevant pair the near-duplicate of its document that is most like it and not judged relevant."""
    subject, dataset = ranked.subject, ranked.subject.dataset
    text, other, similarity = twins.both_ways()
    order = np.lexsort((places_by_key(dataset.documents)[other], -similarity, text))
    text, other, similarity = text[order], other[order], similarity[order]
    queries, documents = subject.pairs(ranked.split)
    chosen = np.isin(queries, ranked.queries)
    queries, documents = queries[chosen], documents[chosen]
    relevant = ranked.keys_of(queries, documents)
    first = np.searchsorted(text, documents)
    count = np.searchsorted(text, documents, side="right") - first
    pair = np.repeat(np.arange(len(queries)), count)
    at = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(len(pair))
    counted = dataset.searched[other[at]] | (ranked.split in (TRAIN, UNSPLIT))
    fresh = counted & ~np.isin(ranked.keys_of(queries[pair], other[at]), relevant)
    pair, at = pair[fresh], at[fresh]
    _, first, count = np.unique(pair, return_index=True, return_counts=True)
    for place, entry, twins_of_it in zip(pair[first].tolist(), at[first].tolist(), count.tolist(), strict=True):
        others = f", and {twins_of_it - 1} more such texts" if twins_of_it > 1 else ""
        yield Finding(
            kind="false_negative",
            split=ranked.split,
            query=subject.query(int(queries[place])),
            document=subject.document(int(other[entry])),
            other=subject.document(int(documents[place])),
            score=float(similarity[entry]),
            sure=float(similarity[entry]),
            note=f"nearly the same text as a relevant one (similarity {similarity[entry]:.2f}){others}",
        )


def find_noisy_positives(ranked: Ranked, ledger: Ledger) -> None:
    """Relevant pairs that the ranking does not have, or has below half of the query's other documents.

    The second only where the ranking holds everything that could be found. For labelled data a query counts when
    no text of its own label is found.
    """
    found = list(_labels_not_found(ranked) if ranked.subject.labelled else _not_found(ranked))
    count = len(ranked.queries) if ranked.subject.labelled else len(_pairs_of(ranked)[0])
    ledger.add(found, {("noisy_positive", ranked.split): count})


def _pairs_of(ranked: Ranked) -> tuple[Int64[np.ndarray, " pair"], Int64[np.ndarray, " pair"]]:
    """Relevant pairs of the ranked queries: place among them, and document."""
    queries, documents = ranked.subject.pairs(ranked.split)
    chosen = np.isin(queries, ranked.queries)
    order = np.argsort(ranked.queries)
    return order[np.searchsorted(ranked.queries[order], queries[chosen])], documents[chosen]


def _not_found(ranked: Ranked) -> Iterator[Finding]:
    hits, subject = ranked.hits, ranked.subject
    positive, there = ranked.judged(True), ranked.there
    scores = hits.scores.astype(np.float64)
    others = np.where(there & ~positive, scores, np.nan)
    typical = _typical(np.where(hits.documents < 0, 0.0, others))  # what BM25 does not list scores 0
    whole = hits.depth >= len(subject.dataset.documents)
    for query, document in zip(*(each.tolist() for each in _pairs_of(ranked)), strict=True):
        places = np.flatnonzero(hits.documents[query] == document)
        if len(places):
            rank, score = int(places[0]) + 1, float(scores[query, places[0]])
            if not (whole and score < typical[query]):
                continue
            note = f"rank {rank} of {len(subject.dataset.documents)}, below half of the other documents"
        else:
            score = _least(scores[query])
            note = f"not among the first {hits.depth}" if there[query].all() else "has no word of the query"
        top = float(scores[query, 0]) if there[query].any() else 0.0
        yield Finding(
            kind="noisy_positive",
            split=ranked.split,
            query=subject.query(int(ranked.queries[query])),
            document=subject.document(document),
            other=subject.document(int(hits.documents[query, 0])) if hits.documents[query, 0] >= 0 else None,
            score=score,
            gap=top - score,
            sure=_relative(top, score),
            note=note,
        )


def _labels_not_found(ranked: Ranked) -> Iterator[Finding]:
    """Texts none of whose nearest texts has their label, with the nearest."""
    hits, subject = ranked.hits, ranked.subject
    labels = subject.dataset.labels or ()
    missing = ranked.there.any(axis=1) & ~ranked.judged(True).any(axis=1)
    nodes = dict(zip(*(each.tolist() for each in _label_of(ranked)), strict=True))
    for query in np.flatnonzero(missing).tolist():
        rows = hits.documents[query][ranked.there[query]]
        names, counts = np.unique(subject.dataset.nodes[rows], return_counts=True)
        share = float(counts.max() / counts.sum())
        most = labels[int(names[counts.argmax()])]
        own = labels[nodes[int(ranked.queries[query])]]
        yield Finding(
            kind="noisy_positive",
            split=ranked.split,
            query=subject.query(int(ranked.queries[query])),
            other=subject.document(int(rows[0])),
            score=float(hits.scores[query, 0]),
            sure=share,
            note=f"labelled {own!r}; of its {len(rows)} nearest texts {counts.max()} are {most!r}",
        )


def _label_of(ranked: Ranked) -> tuple[np.ndarray, np.ndarray]:
    qrels = ranked.subject.dataset.positives(ranked.split)
    return qrels.query, qrels.node


def _typical(scores: Float64[np.ndarray, "query rank"]) -> Float64[np.ndarray, " query"]:
    """The median of each row without NaN; -inf for a row of NaN."""
    filled = np.sort(scores, axis=1)  # NaN goes to the end
    count = (~np.isnan(scores)).sum(axis=1)
    median = np.full(len(scores), -np.inf)
    rows = np.flatnonzero(count)
    median[rows] = filled[rows, (count[rows] - 1) // 2]
    return median


def _least(scores: Float64[np.ndarray, " rank"]) -> float:
    """An upper bound of the score of what is not in a row: that of the last place, 0 where places are empty (BM25)."""
    return float(scores[-1]) if len(scores) and np.isfinite(scores[-1]) else 0.0


def _relative(high: float, low: float) -> float:
    """How much lower, as a share of the larger magnitude, within 0 and 1."""
    scale = max(abs(high), abs(low))
    return min(1.0, max(0.0, (high - low) / scale)) if scale > 0 else 0.0
