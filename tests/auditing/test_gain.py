import numpy as np
import pytest

from nearfar.auditing.gain import estimated_gain
from nearfar.errors import DataError, ShapeError


def test_the_gain_is_the_mean_of_all_less_that_of_the_clean():
    values = np.array([1.0, 1.0, 0.5, 0.0, 0.25])
    found = estimated_gain(values, np.array([True, True, False, False, False]), seed=0)
    assert found.gain == pytest.approx(0.55 - 0.25)
    assert (found.all, found.clean, found.leaked) == pytest.approx((0.55, 0.25, 1.0))
    assert (found.queries, found.leaked_queries) == (5, 2)
    assert found.low < found.gain < found.high


def test_the_interval_covers_as_often_as_it_says():
    """Leaked queries have a mean of 0.5, a fifth of all: they add 0.1."""
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        leaked = np.arange(100) < 20
        values = generator.normal(size=100) + 0.5 * leaked
        found = estimated_gain(values, leaked, resamples=300, seed=0)
        covered += found.low <= 0.1 <= found.high
    assert 0.91 <= covered / 400 <= 0.98


def test_what_cannot_be_compared_is_refused():
    values = np.zeros(3)
    for leaked in ([False] * 3, [True] * 3):
        with pytest.raises(DataError, match="needs leaked queries and clean ones"):
            estimated_gain(values, np.array(leaked), seed=0)
    with pytest.raises(ShapeError, match="3 values for 2 queries"):
        estimated_gain(values, np.array([True, False]), seed=0)
