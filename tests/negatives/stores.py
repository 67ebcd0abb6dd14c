"""A store of vectors in memory, and small tables to mine in."""

from dataclasses import dataclass, field

import numpy as np

from nearfar.data.load import from_records
from nearfar.data.tables import TRAIN, UNSPLIT
from nearfar.negatives.closure import Closure
from nearfar.negatives.material import Material, Vectors
from nearfar.retrieval.dense import search


@dataclass
class InMemory:
    """Vectors that are there already."""

    dataset: object
    rows: np.ndarray
    queries: np.ndarray
    documents: np.ndarray
    similarity: str = "cosine"
    names: dict = field(default_factory=dict)

    def vectors(self, model, sink=None):
        return Vectors(self.queries, self.documents, self.similarity)

    def embed(self, model, texts, sink=None):
        return np.array([[len(text) + place for place in range(self.documents.shape[1])] for text in texts], np.float32)

    def recall(self, model, depth, index, *, sample, seed, sink=None):
        raise NotImplementedError

    def fingerprint(self, model):
        return self.names.get(model, model)

    def search(self, model, depth, index, sink=None, among=slice(None), above=None):
        return search(self.queries[among], self.documents, depth, similarity=self.similarity, above=above)


def dataset(records, name="small"):
    """Tables whose only split is for training."""
    tables = from_records(records, name=name)
    return tables.with_qrels({TRAIN: tables.qrels[UNSPLIT]})


def material(tables, dim=8, seed=0):
    """What a job on these tables is about, with vectors at random."""
    closure = Closure(tables)
    draw = np.random.default_rng(seed)
    vectors = [
        draw.normal(size=(count, dim)).astype(np.float32) for count in (len(closure.queries), len(tables.documents))
    ]
    store = InMemory(tables, closure.queries, *vectors)
    return Material(dataset=tables, queries=closure.queries, closure=closure, store=store, seed=seed)


def pairs(count=20):
    """Pairs of texts, each of words of its own beside a common one."""
    return [{"query": f"what is q{row}", "positive": f"common d{row} word{row % 5}"} for row in range(count)]
