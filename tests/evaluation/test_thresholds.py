import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import beta, binomtest

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.thresholds import (
    exact_interval,
    judge_precision,
    judge_recall,
    mean_recall,
    precision_threshold,
    recall_threshold,
)


def chance(scores):
    """How probable it is that a first document with this score is relevant."""
    return expit(6 * (scores - 0.5))


GRID = np.linspace(0, 1, 20_001)
TRUE_PRECISION = np.cumsum(chance(GRID)[::-1])[::-1] / np.arange(len(GRID), 0, -1)
"""The precision above each threshold when scores are uniform."""


@pytest.mark.parametrize(("wanted", "queries"), [(0.7, 300), (0.85, 300), (0.7, 60)])
def test_the_promise_of_precision_holds(wanted, queries):
    generator = np.random.default_rng(0)
    broken, given = 0, 0
    for _ in range(1000):
        scores = generator.random(queries)
        threshold = precision_threshold(
            scores, generator.random(queries) < chance(scores), wanted=wanted, confidence=0.9
        )
        given += threshold is not None
        broken += threshold is not None and np.interp(threshold, GRID, TRUE_PRECISION) < wanted
    assert broken <= 0.1 * 1000
    assert given > {(0.7, 300): 900, (0.85, 300): 100, (0.7, 60): 20}[wanted, queries]


def test_a_threshold_that_only_looks_good_would_break_it():
    # Without a bound, the lowest threshold whose observed precision is enough: shows that the simulation can fail.
    generator = np.random.default_rng(0)
    broken = 0
    for _ in range(300):
        scores = np.sort(generator.random(300))[::-1]
        share = np.cumsum(generator.random(300) < chance(scores)) / np.arange(1, 301)
        broken += np.interp(scores[np.flatnonzero(share >= 0.7).max()], GRID, TRUE_PRECISION) < 0.7
    assert broken > 0.3 * 300


def test_ties_stay_on_one_side():
    scores = np.repeat([0.9, 0.5], 200)
    relevant = np.r_[np.ones(200, bool), np.zeros(200, bool)]
    assert precision_threshold(scores, relevant, wanted=0.9) == 0.5
    assert precision_threshold(np.full(400, 0.5), np.ones(400, bool), wanted=0.9) is None  # nothing lies above


@pytest.mark.parametrize("queries", [1, 2, 20])
def test_few_queries_promise_nothing(queries):
    assert precision_threshold(np.linspace(0, 1, queries), np.ones(queries, bool), wanted=0.9) is None


def found_lists(generator, queries, depth=8):
    """Scores of found documents, three of them relevant at random places; one relevant document is never found."""
    scores = generator.normal(size=(queries, depth)) + generator.normal(size=(queries, 1))
    relevant = np.tile(np.arange(depth) < 3, (queries, 1))
    totals = np.where(generator.random(queries) < 0.2, 4, 3)
    return scores.reshape(-1), relevant.reshape(-1), np.repeat(np.arange(queries), depth), totals


@pytest.mark.parametrize(("wanted", "queries"), [(0.8, 50), (0.5, 50), (0.8, 12)])
def test_the_promise_of_recall_holds_on_average_and_is_not_wasteful(wanted, queries):
    generator = np.random.default_rng(2)
    reached = []
    for _ in range(600):
        threshold = recall_threshold(*found_lists(generator, queries), wanted=wanted)
        assert threshold is not None
        scores, relevant, query, totals = found_lists(generator, 40)
        reached.append(mean_recall(relevant & (scores >= threshold), query, totals))
    error = np.std(reached) / np.sqrt(len(reached))
    assert wanted - 3 * error < np.mean(reached) < wanted + 2 / queries + 3 * error


def test_recall_by_hand():
    # Two queries; relevant at 0.9, 0.5 (of 2) and at 0.7 (of 1). Mean recall at 0.9: 1/4, at 0.7: 3/4, at 0.5: 1.
    scores, relevant = np.array([0.9, 0.8, 0.5, 0.7, 0.6]), np.array([True, False, True, True, False])
    query, totals = np.array([0, 0, 0, 1, 1]), np.array([2, 1])
    # (2 * (1 - recall) + 1) / 3 <= 1 - wanted: with two queries, at most 2/3 can be promised.
    assert recall_threshold(scores, relevant, query, totals, wanted=0.66) == 0.5
    assert recall_threshold(scores, relevant, query, totals, wanted=0.5) == 0.7
    assert recall_threshold(scores, relevant, query, totals, wanted=0.67) is None
    judged = judge_recall(0.7, scores, relevant, query, totals, wanted=0.5, possible=1.0)
    assert (judged.reached, judged.shown) == (0.75, 1.5)
    assert judge_recall(None, scores, relevant, query, totals, wanted=0.5, possible=1.0).reached is None


def test_intervals_are_exact():
    for right, of in ((0, 10), (3, 10), (10, 10), (170, 200)):
        expected = binomtest(right, of).proportion_ci(0.95, "exact")
        assert exact_interval(right, of, 0.95) == pytest.approx((expected.low, expected.high))
    assert exact_interval(0, 0, 0.95) == (0.0, 1.0)
    assert exact_interval(10, 10, 0.9)[0] == pytest.approx(beta.ppf(0.05, 10, 1))


def test_judging_precision():
    scores, relevant = np.array([0.9, 0.8, 0.4, 0.2]), np.array([True, False, True, True])
    judged = judge_precision(0.4, scores, relevant, wanted=0.9, confidence=0.95)
    assert (judged.answered, judged.reached) == (0.5, 0.5)
    nothing = judge_precision(2.0, scores, relevant, wanted=0.9, confidence=0.95)
    assert (nothing.answered, nothing.reached, nothing.low, nothing.high) == (0.0, None, 0.0, 1.0)
    assert judge_precision(None, scores, relevant, wanted=0.9, confidence=0.95).answered is None


def test_bad_input_is_refused_in_words():
    one, yes, first = np.array([0.5]), np.array([True]), np.array([0])
    with pytest.raises(ConfigError, match=r"wanted must be between 0 and 1, such as 0.95, got 90"):
        precision_threshold(one, yes, wanted=90.0)
    with pytest.raises(ConfigError, match="confidence must be between"):
        precision_threshold(one, yes, wanted=0.9, confidence=1.0)
    with pytest.raises(DataError, match="NaN or infinite"):
        precision_threshold(np.array([np.inf]), yes, wanted=0.9)
    with pytest.raises(DataError, match="needs queries to be found on"):
        precision_threshold(np.zeros(0), np.zeros(0, bool), wanted=0.9)
    with pytest.raises(DataError, match="needs queries to be found on"):
        recall_threshold(np.zeros(0), np.zeros(0, bool), first[:0], first[:0], wanted=0.9)
    with pytest.raises(DataError, match="Query 1 has no relevant document"):
        recall_threshold(one, yes, first, np.array([1, 0]), wanted=0.9)
