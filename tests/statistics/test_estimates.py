import numpy as np
import pytest
from scipy import stats

from nearfar.errors import ConfigError, DataError
from nearfar.statistics.estimates import Estimate, Part, estimate

FIXTURE = np.array([0.1, 0.2, -0.05, 0.3, 0.0, 0.15])


def test_one_source_is_the_paired_t_test():
    found = estimate(FIXTURE)
    assert found.p_value() == pytest.approx(stats.ttest_1samp(FIXTURE, 0).pvalue)
    assert found.p_value() == pytest.approx(0.0778, abs=5e-5)
    assert found.interval(0.9) == pytest.approx(tuple(stats.ttest_1samp(FIXTURE, 0).confidence_interval(0.9)))
    assert found.p_above(-0.05) == pytest.approx(stats.ttest_1samp(FIXTURE, -0.05, alternative="greater").pvalue)
    assert found.p_above(0.3) == pytest.approx(stats.ttest_1samp(FIXTURE, 0.3, alternative="greater").pvalue)
    assert found.p_below(0.3) == pytest.approx(stats.ttest_1samp(FIXTURE, 0.3, alternative="less").pvalue)
    assert found.degrees() == 5


@pytest.mark.parametrize("mean", [0.0, 0.01, 0.1, -0.3, 5.0])
def test_several_sources_agree_with_their_own_interval(mean):
    parts = (Part(source="seeds", variance=0.01, degrees=2), Part(source="queries", variance=0.002, degrees=99))
    found = Estimate(mean=mean, parts=parts, n=100)
    assert found.standard_error == pytest.approx(np.sqrt(0.012))
    assert found.margin(0.025) == pytest.approx(
        np.sqrt(0.01 * stats.t.ppf(0.975, 2) ** 2 + 0.002 * stats.t.ppf(0.975, 99) ** 2)
    )
    assert found.margin(0.025) == pytest.approx(found.standard_error * stats.t.ppf(0.975, found.degrees()))
    assert found.p_above(0.0) + found.p_below(0.0) == pytest.approx(1)
    p = found.p_value()
    assert p == pytest.approx(2 * min(found.p_above(0.0), found.p_below(0.0)))
    if mean:
        ends = found.interval(1 - p)
        assert min(abs(end) for end in ends) == pytest.approx(0, abs=1e-9)
    else:
        assert p == pytest.approx(1)


def test_two_sources_of_equal_degrees_and_one_of_both_are_the_same():
    two = Estimate(mean=0.4, parts=tuple(Part(source=name, variance=0.02, degrees=7) for name in "ab"), n=8)
    one = Estimate(mean=0.4, parts=(Part(source="a", variance=0.04, degrees=7),), n=8)
    assert two.p_value() == pytest.approx(one.p_value(), rel=1e-9)
    assert two.degrees() == pytest.approx(7)


def test_where_nothing_varies():
    ties = estimate(np.zeros(5))
    assert (ties.mean, ties.interval(), ties.p_value()) == (0.0, (0.0, 0.0), 1.0)
    same = estimate(np.full(5, 0.8) - np.array([0.5, 0.5, 0.1 + 0.4, 0.5, 0.5]))
    assert same.parts == ()
    assert same.p_value() == 2 / 32
    assert (same.p_above(0.2), same.p_above(0.3 + 1e-9)) == (0.0, 1.0)


def test_what_has_no_variance_is_refused():
    with pytest.raises(DataError, match="One query says nothing about others"):
        estimate(np.array([0.5]))
    with pytest.raises(DataError, match="at least one query"):
        estimate(np.zeros(0))
    with pytest.raises(DataError, match="those at 1 are not"):
        estimate(np.array([0.5, np.nan]))
    with pytest.raises(ConfigError, match="confidence must be between 0 and 1"):
        estimate(FIXTURE).interval(95.0)
