import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.statistics.paired import bootstrap_interval, compare, interval_of_mean
from nearfar.statistics.randomisation import randomisation_test

FIXTURE = np.array([0.1, 0.2, -0.05, 0.3, 0.0, 0.15])
values = st.lists(st.sampled_from([-0.3, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3, 1 / 3]), min_size=1, max_size=9)


@settings(max_examples=30, deadline=None)
@given(values, st.floats(1e-200, 1e200))
def test_a_change_of_sign_or_unit_changes_nothing(differences, unit):
    repeated = np.array(differences * 3)
    one = randomisation_test(repeated, draws=500, seed=3)
    assert randomisation_test(-repeated, draws=500, seed=3) == one
    assert randomisation_test(repeated * unit, draws=500, seed=3) == one
    low, high = bootstrap_interval(repeated, resamples=500, seed=3)
    mirrored = bootstrap_interval(-repeated, resamples=500, seed=3)
    assert mirrored == pytest.approx((-high, -low), abs=1e-12)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    samples = np.random.default_rng(13).normal(0.3, 1.0, (600, 80))
    intervals = np.array([bootstrap_interval(row, resamples=500, seed=seed) for seed, row in enumerate(samples)])
    covered = (intervals[:, 0] <= 0.3) & (intervals[:, 1] >= 0.3)
    assert 0.92 <= covered.mean() <= 0.97


def test_the_interval_is_near_that_of_the_normal_distribution():
    sample = np.random.default_rng(1).normal(2.0, 1.0, 400)
    error = sample.std() / 20
    expected = (sample.mean() - 1.96 * error, sample.mean() + 1.96 * error)
    assert bootstrap_interval(sample, seed=2) == pytest.approx(expected, abs=0.1 * error)
    narrow = bootstrap_interval(sample, confidence=0.5, seed=2)
    assert narrow == pytest.approx((sample.mean() - 0.6745 * error, sample.mean() + 0.6745 * error), abs=0.1 * error)


def test_comparison_by_hand():
    control = np.array([0.5, 0.2, 0.6, 0.1, 0.4, 0.0])
    result = compare(control + FIXTURE, control, seed=0)
    assert (result.n, result.wins, result.losses, result.ties) == (6, 4, 1, 1)
    assert result.mean == pytest.approx(0.7 / 6)
    assert result.p == 0.125
    assert result.low < result.mean < result.high
    assert result.test == "exact randomisation test"
    assert json.loads(json.dumps(result.as_dict()))["wins"] == 4
    opposite = compare(control, control + FIXTURE, seed=0)
    assert (opposite.p, opposite.wins, opposite.losses) == (0.125, 1, 4)
    assert opposite.mean == pytest.approx(-result.mean)


def test_rounding_is_no_difference():
    result = compare(np.array([0.1 + 0.2, 0.5]), np.array([0.3, 0.5]), seed=0)
    assert (result.ties, result.mean, result.p, result.low, result.high) == (2, 0.0, 1.0, 0.0, 0.0)


def test_one_query_and_equal_differences():
    single = compare(np.array([0.8]), np.array([0.5]), seed=0)
    assert (single.n, single.p, single.wins) == (1, 1.0, 1)
    assert single.low == single.high == pytest.approx(0.3)
    same = compare(np.full(8, 0.75), np.full(8, 0.5), seed=0)
    assert (same.low, same.high, same.p) == (0.25, 0.25, 2 / 256)
    assert compare(np.zeros(3), np.zeros(3), seed=0).p == 1.0


def test_many_queries_name_their_draws():
    generator = np.random.default_rng(2)
    result = compare(generator.random(50) + 0.3, generator.random(50), draws=200, seed=0)
    assert result.test == "randomisation test, 200 draws"
    assert result.p == 1 / 201


def test_interval_of_one_system():
    sample = np.random.default_rng(3).random(100)
    interval = interval_of_mean(sample, confidence=0.9, seed=4)
    assert (interval.n, interval.confidence) == (100, 0.9)
    assert interval.mean == pytest.approx(sample.mean())
    assert (interval.low, interval.high) == bootstrap_interval(sample, confidence=0.9, seed=4)


def test_float32_values_are_taken():
    sample = np.array([0.25, 0.5, 0.75], np.float32)
    assert interval_of_mean(sample, seed=0).mean == 0.5


def test_what_cannot_be_compared_is_refused():
    nothing = np.zeros(0)
    for function in (bootstrap_interval, interval_of_mean, randomisation_test):
        with pytest.raises(DataError, match="at least one query"):
            function(nothing, seed=0)
    with pytest.raises(DataError, match="those at 1, 2 are not"):
        compare(np.array([0, np.nan, np.inf]), np.zeros(3), seed=0)
    with pytest.raises(ShapeError, match="treatment has 2, control has 3"):
        compare(np.zeros(2), np.zeros(3), seed=0)
    with pytest.raises(ConfigError, match=r"between 0 and 1, such as .*, got 95"):
        bootstrap_interval(FIXTURE, confidence=95.0, seed=0)
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        randomisation_test(FIXTURE, draws=0, seed=0)
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        bootstrap_interval(FIXTURE, resamples=0, seed=0)
