import numpy as np
import pytest

from nearfar.errors import DataError
from nearfar.statistics import bootstrap
from nearfar.statistics.bootstrap import bootstrap_counts, bootstrap_intervals
from nearfar.statistics.paired import bootstrap_interval


def test_counts_are_of_as_many_items():
    counts = np.concatenate(list(bootstrap_counts(7, 50, seed=3)))
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()


def test_blocks_change_nothing(monkeypatch):
    whole = np.concatenate(list(bootstrap_counts(7, 50, seed=3)))
    monkeypatch.setattr(bootstrap, "COUNTS_AT_ONCE", 20)
    blocks = list(bootstrap_counts(7, 50, seed=3))
    assert len(blocks) == 25
    assert (np.concatenate(blocks) == whole).all()


def test_intervals_are_those_of_drawing_the_values_themselves():
    values = np.random.default_rng(0).random((40, 3))
    drawn = np.random.default_rng(5).integers(0, 40, size=(600, 40))
    expected = np.quantile(values[drawn].mean(axis=1), [0.05, 0.95], axis=0).T
    found = bootstrap_intervals(values, confidence=0.9, resamples=600, seed=5)
    assert found == pytest.approx(expected, abs=1e-12)
    alone = bootstrap_interval(values[:, 2], confidence=0.9, resamples=600, seed=5)
    assert alone == pytest.approx(tuple(expected[2]), abs=1e-12)


def test_equal_values_have_no_width():
    values = np.array([[0.1, 0.2], [0.1, 0.4], [0.1, 0.6]])
    assert (bootstrap_intervals(values, resamples=100, seed=0)[0] == 0.1).all()
    assert (bootstrap_intervals(values[:1], resamples=100, seed=0) == values[0][:, None]).all()


def test_a_value_that_is_not_finite_is_refused():
    with pytest.raises(DataError, match="those at 1 are not"):
        bootstrap_intervals(np.array([[0.1, 0.2], [0.1, np.nan]]), seed=0)
