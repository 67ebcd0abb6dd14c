import numpy as np
import pytest
from scipy import stats

from nearfar.errors import ConfigError
from nearfar.statistics.estimates import Estimate, Part, estimate
from nearfar.statistics.power import detectable, power, queries_needed, smallest_detectable_difference
from nearfar.statistics.randomisation import randomisation_test


@pytest.mark.parametrize(("difference", "queries"), [(0.1, 20), (0.05, 100), (-0.02, 300)])
def test_power_is_that_of_the_noncentral_t(difference, queries):
    critical = stats.t.ppf(0.975, queries - 1)
    expected = stats.nct.sf(critical, queries - 1, abs(difference) * np.sqrt(queries) / 0.25)
    assert power(difference, 0.25, queries) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("queries", [8, 40])
def test_power_agrees_with_simulation(queries):
    difference = smallest_detectable_difference(0.3, queries, power=0.7)
    samples = np.random.default_rng(queries).normal(difference, 0.3, (20_000, queries))
    p_values = stats.ttest_1samp(samples, 0, axis=1).pvalue
    found = ((p_values <= 0.05) & (samples.mean(axis=1) > 0)).mean()
    assert found == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / 20_000))


def test_the_randomisation_test_has_about_the_same_power():
    difference = smallest_detectable_difference(0.3, 18, power=0.7)
    samples = np.random.default_rng(5).normal(difference, 0.3, (1_500, 18))
    found = np.mean([randomisation_test(row, seed=0).p <= 0.05 for row in samples])
    assert found == pytest.approx(0.7, abs=0.04)


def test_the_three_questions_have_one_answer():
    smallest = smallest_detectable_difference(0.25, 120, alpha=0.01, power=0.9)
    assert power(smallest, 0.25, 120, alpha=0.01) == pytest.approx(0.9)
    assert queries_needed(smallest * 1.0001, 0.25, alpha=0.01, power=0.9) == 120
    assert queries_needed(smallest * 0.999, 0.25, alpha=0.01, power=0.9) == 121
    assert smallest_detectable_difference(1.0, 10_000) == pytest.approx(2.8016 / 100, rel=1e-3)
    assert queries_needed(0.01, 0.3) == pytest.approx((2.8016 * 30) ** 2, rel=1e-3)
    assert queries_needed(-10.0, 0.3) == 2
    assert power(0.0, 1.0, 30) == pytest.approx(0.025)


def test_it_is_that_of_a_finished_comparison():
    differences = np.random.default_rng(1).normal(0.4, 0.3, 50)
    expected = smallest_detectable_difference(float(differences.std(ddof=1)), 50)
    assert detectable(estimate(differences)) == pytest.approx(expected)
    seeds = Part(source="seeds", variance=0.01, degrees=2)
    queries = Part(source="queries", variance=0.001, degrees=99)
    both = Estimate(mean=0.0, parts=(seeds, queries), n=100)
    of_seeds, of_queries = (detectable(Estimate(mean=0.0, parts=(part,), n=100)) for part in (seeds, queries))
    assert max(of_seeds, of_queries) < detectable(both) < of_seeds + of_queries


def test_where_nothing_varies_everything_is_seen():
    assert smallest_detectable_difference(0.0, 5) == 0.0
    assert power(0.1, 0.0, 5) == 1.0
    assert power(0.0, 0.0, 5) == 0.0
    assert queries_needed(0.1, 0.0) == 2


def test_questions_without_an_answer_are_refused():
    with pytest.raises(ConfigError, match="at least 2 queries, got 1"):
        smallest_detectable_difference(0.3, 1)
    for deviation in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=f"0 or more, got {deviation}"):
            power(0.1, deviation, 10)
    with pytest.raises(ConfigError, match="No number of queries"):
        queries_needed(0.0, 0.3)
    with pytest.raises(ConfigError, match="more than a billion"):
        queries_needed(1e-9, 0.3)
    with pytest.raises(ConfigError, match="alpha must be between 0 and 1"):
        power(0.1, 0.3, 10, alpha=5.0)
    with pytest.raises(ConfigError, match="power must be between 0 and 1"):
        queries_needed(0.1, 0.3, power=80.0)
    with pytest.raises(ConfigError, match="with no difference at all"):
        smallest_detectable_difference(0.3, 10, power=0.02)
