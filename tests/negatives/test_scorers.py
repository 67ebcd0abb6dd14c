"""Scores by the vectors of a model."""

from dataclasses import replace

import numpy as np
import pytest

from nearfar.negatives import scorers
from nearfar.negatives.material import Made
from nearfar.negatives.scorers import Model
from nearfar.negatives.sources.retrieved import Dense
from tests.negatives.stores import dataset, material, pairs


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_scores_are_those_of_a_search_to_the_bit(similarity, monkeypatch):
    monkeypatch.setattr(scorers, "_AT_ONCE", 7)
    about = material(dataset(pairs()))
    about.store.similarity = similarity
    hits = Dense(depth=20).propose(about).hits
    rows, ranks = np.nonzero(hits.documents >= 0)
    mixed = np.random.default_rng(0).permutation(len(rows))
    rows, ranks = rows[mixed], ranks[mixed]
    found = Model().score(about, about.queries[rows], hits.documents[rows, ranks])
    assert found.tobytes() == hits.scores[rows, ranks].tobytes()


@pytest.mark.parametrize("at_once", [1, 2, 65_536])
def test_texts_that_a_source_made_are_scored_by_their_own_vectors(at_once, monkeypatch):
    monkeypatch.setattr(scorers, "_AT_ONCE", at_once)
    about = material(dataset(pairs()))
    about = replace(about, made=Made(texts=("one", "three"), parents=np.array([0, -1], dtype=np.int32)))
    documents = np.array([21, 0, 20, 3], dtype=np.int32)
    found = Model().score(about, np.array([1, 1, 0, 2], dtype=np.int32), documents)
    table = np.concatenate([about.store.documents, about.store.embed("", about.made.texts)])
    left, right = about.store.queries[[1, 1, 0, 2]], table[documents]
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    assert found == pytest.approx((left * right).sum(axis=1) / lengths, abs=1e-6)
