"""Small mining jobs in memory: tables, candidates with scores, and a store with given vectors."""

from dataclasses import fields, replace
from functools import cache, lru_cache

import numpy as np

from nearfar.data.tables import TEST, TRAIN
from nearfar.negatives.candidates import Candidates, Positives, Reason
from nearfar.negatives.closure import Closure
from nearfar.negatives.lists import by_pair, from_sources
from nearfar.negatives.material import Made, Material, Vectors
from nearfar.types import Hits
from tests.data.memory import make

SCORES = ("teacher", "guide", "judge", "cross_encoder", "propensity")


class Store:
    """Has the vectors that it was given, and searches them by brute force."""

    def __init__(self, queries, documents):
        self.kept = Vectors(
            np.asarray(queries, dtype=np.float32), np.asarray(documents, dtype=np.float32), similarity="cosine"
        )

    def vectors(self, model, sink=None):
        return self.kept

    def embed(self, model, texts, sink=None):
        draws = [np.random.default_rng(list(text.encode())) for text in texts]
        return np.array([draw.normal(size=self.kept.documents.shape[1]) for draw in draws], dtype=np.float32)

    def recall(self, model, depth, index, *, sample, seed, sink=None):
        raise NotImplementedError

    def fingerprint(self, model):
        return model

    def search(self, model, depth, index, sink=None, among=slice(None)):
        scores = self.kept.queries[among] @ self.kept.documents.T
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth].astype(np.int32)
        return Hits(order, np.take_along_axis(scores, order, axis=1))


def material(dataset, *, queries=None, documents=None, seed=0, made=()):
    """The material of a job; vectors are random unless they are given."""
    closure = Closure(dataset)
    rows, generator = closure.queries, np.random.default_rng(7)
    store = Store(
        generator.normal(size=(len(rows), 4)) if queries is None else queries,
        generator.normal(size=(len(dataset.documents), 4)) if documents is None else documents,
    )
    return Material(
        dataset=dataset,
        queries=rows,
        closure=closure,
        store=store,
        seed=seed,
        made=Made(texts=tuple(made), parents=np.full(len(made), -1, dtype=np.int32)),
    )


@lru_cache(maxsize=128)
def job(seed=0, *, queries=6, documents=40, depth=12, sources=2, pairs=False, unknown=0.1, job_seed=0):
    """A material, and candidates after the closure with all scores, some of them unknown.

    Do not write into them: whoever asks for the same job gets the same objects.
    """
    generator = np.random.default_rng(seed)
    # Each query has one or two positives; the last document belongs to the first query, too.
    judged = [(query, int(generator.integers(documents)), 1) for query in range(queries) for _ in range(1 + query % 2)]
    names = [f"query number {row} of {seed}" for row in range(queries)]
    texts = [f"document number {row} of {seed} with some more words" for row in range(documents)]
    dataset = make([*names, texts[5]], texts, {TRAIN: judged, TEST: [(queries, 6, 1)]})
    vectors = np.repeat(generator.normal(size=(queries, 4)), 2, axis=0)[:queries]  # every two ask nearly the same
    stuff = material(dataset, queries=vectors + 0.01 * generator.random((queries, 4)), seed=job_seed)
    found = []
    for source in range(sources):
        rows = np.stack([generator.permutation(documents)[:depth] for _ in stuff.queries]).astype(np.int32)
        rows[generator.random(rows.shape) < 0.1 * source] = -1  # ragged
        found.append((rows, -np.sort(-generator.normal(size=rows.shape), axis=1).astype(np.float32)))
    given = stuff.closure.apply(from_sources(stuff.queries, found, stuff.closure.positives))
    table = {name: generator.random((queries, documents)).astype(np.float32) for name in SCORES}
    for name in SCORES:
        table[name][generator.random(table[name].shape) < unknown] = np.nan
    return stuff, scored(by_pair(given) if pairs else given, table)


def scored(candidates, table):
    """Candidates with scores from ``{name: matrix of query and document rows}``."""
    for name, values in table.items():
        known = candidates.positives
        candidates = replace(
            candidates.with_scores(name, values[candidates.query, candidates.document]),
            positives=known.with_scores(name, values[known.query, known.document]),
        )
    return candidates


def one_list(scores, positive=1.0, *, name="teacher", positives=None):
    """A material and one query whose candidates have these scores, hardest first in the order given.

    The documents after the candidates are the positives, with the scores ``positives`` or the one ``positive``.
    """
    positives = [positive] if positives is None else positives
    stuff, given = _unscored(len(scores), len(positives))
    return stuff, scored(given, {name: np.array([[*scores, *positives]], dtype=np.float32)})


@cache
def _unscored(candidates, positives):
    texts = [f"candidate {place}" for place in range(candidates)] + [f"answer {place}" for place in range(positives)]
    judged = [(0, candidates + place, 1) for place in range(positives)]
    stuff = material(make(["question"], texts, {TRAIN: judged}))
    hits = np.arange(candidates, dtype=np.int32)[None], np.arange(candidates, 0, -1, dtype=np.float32)[None]
    return stuff, from_sources(stuff.queries, [hits], stuff.closure.positives)


def shuffled(candidates, seed=0):
    """The same rows in another order within each list, and where each row of the result was."""
    order = np.lexsort((np.random.default_rng(seed).random(len(candidates)), candidates.lists))
    return rows(candidates, order), order


def rows(candidates, which):
    """Some rows of candidates."""
    taken = {each.name: getattr(candidates, each.name) for each in fields(Candidates)}
    picked = {name: value[which] for name, value in taken.items() if isinstance(value, np.ndarray)}
    scores = {name: values[which] for name, values in candidates.scores.items()}
    return Candidates(**picked, scores=scores, positives=candidates.positives)


def empty(candidates):
    """The same job without a candidate."""
    return rows(candidates, np.zeros(0, dtype=np.int64))


def without_positives(candidates):
    """The same candidates, of queries whose positives are not known."""
    nothing = np.zeros(0, dtype=np.int32)
    scores = {name: np.zeros(0, dtype=np.float32) for name in candidates.positives.scores}
    return replace(candidates, positives=Positives(query=nothing, document=nothing, scores=scores))


def kept_documents(candidates):
    """The documents that are kept, in row order."""
    return candidates.document[candidates.kept].tolist()


def reasons(candidates):
    """The names of the reasons, in row order."""
    return [Reason(each).name for each in candidates.reason]
