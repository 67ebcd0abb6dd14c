"""Candidates that answer nearly the same question."""

import numpy as np
import pytest

from nearfar.data.tables import TRAIN
from nearfar.errors import ConfigError
from nearfar.negatives.filters.noise import Noise
from nearfar.negatives.lists import from_sources
from tests.data.memory import make
from tests.negatives.jobs import kept_documents, material, rows

# Queries 0 and 1 ask the same, query 2 does not. Document 1 answers query 1; document 3 says nearly the same.
QUERIES = [[1, 0, 0], [0.99, 0.05, 0], [0, 0, 1]]
DOCUMENTS = [[0.9, 0.4, 0], [0.4, 0.9, 0], [0, 0, 1], [0.41, 0.9, 0.01], [0, 1, -0.8], [-1, 0, 0.2]]


def job():
    dataset = make(["a", "b", "c"], [f"text {row}" for row in range(6)], {TRAIN: [(0, 0, 1), (1, 1, 1), (2, 2, 1)]})
    stuff = material(dataset, queries=QUERIES, documents=DOCUMENTS)
    hits = np.tile(np.arange(6, dtype=np.int32), (3, 1)), np.zeros((3, 6), dtype=np.float32)
    return stuff, stuff.closure.apply(from_sources(stuff.queries, [hits], stuff.closure.positives))


def kept_of(query, after):
    return kept_documents(rows(after, np.flatnonzero(after.query == query)))


def test_the_positive_of_a_twin_and_its_nearest_are_dropped():
    stuff, found = job()
    after = Noise(neighbours=1).apply(found, stuff)
    assert kept_of(0, after) == [2, 4, 5]
    assert kept_of(1, after) == [2, 4, 5]  # 0 answers its twin, and 3 is what is nearest to that
    assert kept_of(2, after) == [0, 1, 3, 4, 5]


def test_no_neighbours_are_the_positives_alone():
    stuff, found = job()
    after = Noise(neighbours=0).apply(found, stuff)
    assert kept_of(0, after) == [2, 3, 4, 5]
    assert kept_of(1, after) == [2, 3, 4, 5]


def test_without_twins_nothing_is_dropped():
    stuff, found = job()
    assert Noise(similarity=1.0).apply(found, stuff).kept.tolist() == found.kept.tolist()


def test_more_neighbours_than_documents():
    stuff, found = job()
    after = Noise(neighbours=50).apply(found, stuff)
    assert kept_of(0, after) == kept_of(1, after) == []
    assert len(kept_of(2, after)) == 5


@pytest.mark.usefixtures("without_annotation_checks")
def test_mistakes():
    with pytest.raises(ConfigError, match="similarity must be a number between -1 and 1, got 2"):
        Noise(similarity=2)
    with pytest.raises(ConfigError, match="neighbours must be a whole number of at least 0"):
        Noise(neighbours=-1)
