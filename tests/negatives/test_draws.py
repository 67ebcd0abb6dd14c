"""Random numbers of candidates."""

from dataclasses import replace

import numpy as np

from nearfar.data.tables import TRAIN
from nearfar.negatives.draws import uniform
from nearfar.negatives.lists import from_sources
from tests.data.memory import make
from tests.negatives.jobs import job, material, rows, shuffled


def test_they_follow_from_texts_seed_and_salt_alone():
    stuff, found = job(queries=5)
    drawn = uniform(found, stuff, "one")
    assert (uniform(found, stuff, "one") == drawn).all()
    assert (uniform(found, stuff, "other") != drawn).all()
    assert (uniform(found, replace(stuff, seed=1), "one") != drawn).all()
    moved, order = shuffled(found)
    assert (uniform(moved, stuff, "one") == drawn[order]).all()
    some = np.flatnonzero(found.query % 2 == 0)
    assert (uniform(rows(found, some), stuff, "one") == drawn[some]).all()


def test_they_do_not_change_from_one_version_to_the_next():
    """What was mined with a seed can be mined again."""
    stuff, found = job(queries=1, sources=1, depth=3)
    assert uniform(found, stuff, "Uniform").tolist() == [0.8055098592444085, 0.4200816660938253, 0.8328861396568503]


def test_lists_by_pair_have_draws_of_their_own():
    stuff, found = job(queries=2, pairs=True)
    drawn = uniform(found, stuff, "one")
    pairs = list(zip(found.query, found.document, found.positive, found.source, strict=True))
    assert len({*zip(found.query, found.document, found.positive, strict=True)}) == len(np.unique(drawn)) < len(pairs)


def test_made_texts_have_draws_like_those_of_the_table():
    hits = np.arange(3, dtype=np.int32)[None], np.zeros((1, 3), dtype=np.float32)
    drawn = []
    for table, made in (["answer", "one", "two"], ()), (["answer", "one"], ("Two ",)):
        stuff = material(make(["question"], table, {TRAIN: [(0, 0, 1)]}), made=made)
        drawn.append(uniform(from_sources(stuff.queries, [hits], stuff.closure.positives), stuff, "one"))
    assert (drawn[0] == drawn[1]).all()


def test_they_are_uniform():
    """Ten thousand of them: each tenth has a tenth of them, give or take four standard deviations."""
    stuff, found = job(queries=100, documents=120, depth=100, sources=1)
    drawn = uniform(found, stuff, "one")
    assert 0 < drawn.min() < drawn.max() < 1
    counts = np.histogram(drawn, bins=10, range=(0, 1))[0]
    assert np.abs(counts - len(drawn) / 10).max() < 4 * np.sqrt(len(drawn) * 0.09)
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.04
