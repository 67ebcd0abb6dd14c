"""Scores by the vectors of a model."""

import numpy as np
import pytest

from nearfar.negatives import scorers
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


def test_a_text_that_a_source_made_has_no_score():
    about = material(dataset(pairs()))
    found = Model().score(about, np.zeros(2, dtype=np.int32), np.array([0, 20], dtype=np.int32))
    assert np.isnan(found).tolist() == [False, True]
