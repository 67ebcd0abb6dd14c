import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from nearfar.errors import DataError, ShapeError
from nearfar.evaluation.calibration import Logistic, fit_logistic, reliability


def drawn(count=4000, seed=0):
    generator = np.random.default_rng(seed)
    scores = generator.uniform(0.2, 0.9, count)
    return scores, generator.random(count) < Logistic(slope=8.0, intercept=-5.0)(scores)


def test_the_curve_is_that_of_scikit_learn():
    scores, relevant = drawn()
    positives, others = int(relevant.sum()), int((~relevant).sum())
    target = np.where(relevant, (positives + 1) / (positives + 2), 1 / (others + 2))
    oracle = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000)
    oracle.fit(np.r_[scores, scores][:, None], np.repeat([1, 0], len(scores)), np.r_[target, 1 - target])
    found = fit_logistic(scores, relevant)
    assert found.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(oracle.intercept_[0], rel=1e-4)
    assert found.slope == pytest.approx(8.0, abs=0.6)
    assert found(scores).mean() == pytest.approx(target.mean())


def test_a_fault_free_separation_gives_a_finite_slope():
    found = fit_logistic(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert 0 < found.slope < 100
    assert found(np.array([0.9]))[0] == pytest.approx(0.75, abs=0.1)  # Platt's target of two: 3 / 4


def test_equal_scores_give_the_share():
    found = fit_logistic(np.full(30, 0.7) + 1e-12 * np.arange(30), np.arange(30) < 10)
    assert found.slope == 0
    assert found(np.array([0.1, 0.7])) == pytest.approx((10 * 11 / 12 + 20 / 22) / 30, abs=1e-6)


def test_the_scale_of_scores_does_not_matter():
    scores, relevant = drawn(500)
    one, other = fit_logistic(scores, relevant), fit_logistic(1e4 * scores + 3e5, relevant)
    assert other(1e4 * scores + 3e5) == pytest.approx(one(scores), abs=1e-5)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(DataError, match="all 3 are relevant"):
        fit_logistic(np.array([0.1, 0.2, 0.3]), np.ones(3, bool))
    with pytest.raises(DataError, match="all 3 are not relevant"):
        fit_logistic(np.array([0.1, 0.2, 0.3]), np.zeros(3, bool))
    with pytest.raises(DataError, match="NaN or infinite"):
        fit_logistic(np.array([0.1, np.nan]), np.array([True, False]))


def test_the_error_by_hand():
    # The fixture of the specification: bins (0.1, 0.2) and (0.7, 0.9), of which 1/2 and all came.
    p, y = np.array([0.1, 0.2, 0.7, 0.9]), np.array([False, True, True, True])
    found = reliability(p, y, bins=2, equal_mass=True)
    assert found.error == pytest.approx(0.275)
    assert (found.pairs, found.came) == ((2, 2), (0.5, 1.0))
    assert found.predicted == pytest.approx((0.15, 0.8))
    assert reliability(p, y, bins=2).error == pytest.approx(0.275)  # the same bins
    assert reliability(p, y, bins=10).error == pytest.approx((0.1 + 0.8 + 0.3 + 0.1) / 4)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=60), st.booleans())
def test_bins_hold_every_pair_once_and_equal_probabilities_together(rows, equal_mass):
    p, y = np.array([row[0] / 50 for row in rows]), np.array([row[1] for row in rows])
    found = reliability(p, y, bins=15, equal_mass=equal_mass)
    assert sum(found.pairs) == len(rows)
    assert min(found.pairs) > 0
    assert np.dot(found.pairs, found.predicted) == pytest.approx(p.sum())
    assert np.dot(found.pairs, found.came) == pytest.approx(y.sum())
    assert 0 <= found.error <= 1
    assert list(found.predicted) == sorted(found.predicted)


@pytest.mark.parametrize("equal_mass", [False, True])
def test_bins_are_those_of_scikit_learn(equal_mass):
    scores, relevant = drawn(3000)
    p = Logistic(slope=5.0, intercept=-2.0)(scores)
    strategy = "quantile" if equal_mass else "uniform"
    came, predicted = calibration_curve(relevant, p, n_bins=15, strategy=strategy)
    found = reliability(p, relevant, equal_mass=equal_mass)
    assert np.allclose(found.came, came, atol=0.01)  # quantile edges differ by one pair at most
    assert np.allclose(found.predicted, predicted, atol=0.01)


def test_true_probabilities_have_a_small_error():
    scores, relevant = drawn(40_000)
    true = Logistic(slope=8.0, intercept=-5.0)(scores)
    assert reliability(true, relevant).error < 0.012
    assert reliability(scores, relevant).error > 0.05  # a similarity is no probability


def test_what_is_no_probability_is_refused():
    with pytest.raises(DataError, match="A similarity is none: fit a Logistic first"):
        reliability(np.array([0.2, 1.2]), np.array([True, False]))
    with pytest.raises(DataError, match="between 0 and 1"):
        reliability(np.array([0.2, np.nan]), np.array([True, False]))
    with pytest.raises(DataError, match="at least one pair"):
        reliability(np.zeros(0), np.zeros(0, bool))
    with pytest.raises(ShapeError, match="2 probabilities for 1 pairs"):
        reliability(np.zeros(2), np.zeros(1, bool))
