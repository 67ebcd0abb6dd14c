import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.statistics.flips import flips_of_drop, flips_of_success

answers = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=30)


@given(answers)
def test_success_changes_by_the_difference_of_the_rates(pairs):
    old, new = (np.array(side) for side in zip(*pairs, strict=True))
    found = flips_of_success(old, new)
    assert found.positive_rate - found.negative_rate == pytest.approx(new.mean() - old.mean(), abs=1e-12)
    back = flips_of_success(new, old)
    assert (back.negative, back.positive) == (found.positive, found.negative)
    interval = binomtest(len(found.negative), len(pairs)).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_success_by_hand():
    found = flips_of_success(np.array([1.0, 1, 0, 0, 1]), np.array([1.0, 0, 1, 0, 0]))
    assert (found.negative, found.positive, found.n) == ((1, 4), (2,), 5)
    assert (found.negative_rate, found.positive_rate) == (0.4, 0.2)


def test_drops_by_hand_worst_first():
    old = np.array([0.9, 0.5, 0.30, 1.0, 0.95, 0.2])
    new = np.array([0.6, 0.6, 0.24, 0.0, 0.90, 0.9])
    found = flips_of_drop(old, new)  # 0.95 to 0.90 is a drop of just the threshold, up to rounding
    assert (found.negative, found.positive) == ((3, 0, 2), (5, 1))
    assert (found.negative_rate, found.positive_rate) == (0.5, 2 / 6)
    assert flips_of_drop(old, new, threshold=0.5).negative == (3,)
    assert flips_of_drop(old, new, threshold=0.0).negative == (3, 0, 2, 4)


def test_a_model_and_itself_have_none_and_the_interval_still_says_how_many_there_may_be():
    values = np.random.default_rng(0).random(100)
    found = flips_of_drop(values, values, threshold=0.0)
    assert (found.negative, found.positive, found.negative_rate, found.low) == ((), (), 0.0, 0.0)
    assert 0.03 < found.high < 0.04


def test_one_query():
    found = flips_of_success(np.array([1.0]), np.array([0.0]))
    assert (found.negative_rate, found.high) == (1.0, 1.0)
    assert found.low < 0.25


def test_what_has_no_flips_is_refused():
    with pytest.raises(ShapeError, match="old model has 2, the new one 3"):
        flips_of_success(np.zeros(2), np.zeros(3))
    with pytest.raises(DataError, match=r"1 or 0, as Success@k gives it.*flips_of_drop"):
        flips_of_success(np.array([0.5, 1.0]), np.ones(2))
    with pytest.raises(DataError, match="those at 0 are not"):
        flips_of_drop(np.array([np.nan, 1.0]), np.ones(2))
    with pytest.raises(DataError, match="at least one query"):
        flips_of_drop(np.zeros(0), np.zeros(0))
    with pytest.raises(ConfigError, match=r"0 or more, such as 0\.05, got -1"):
        flips_of_drop(np.ones(2), np.ones(2), threshold=-1.0)
    with pytest.raises(ConfigError, match="confidence must be between 0 and 1"):
        flips_of_drop(np.ones(2), np.ones(2), confidence=1.0)
