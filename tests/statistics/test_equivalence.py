import numpy as np
import pytest
from scipy import stats

from nearfar.errors import ConfigError
from nearfar.statistics.equivalence import equivalent, no_worse
from nearfar.statistics.estimates import estimate


def test_both_claims_are_one_sided_t_tests():
    differences = np.random.default_rng(0).normal(-0.005, 0.05, 80)
    worse, both = no_worse(estimate(differences), 0.02), equivalent(estimate(differences), 0.02)
    above = stats.ttest_1samp(differences, -0.02, alternative="greater")
    below = stats.ttest_1samp(differences, 0.02, alternative="less")
    assert worse.p == pytest.approx(above.pvalue)
    assert both.p == pytest.approx(max(above.pvalue, below.pvalue))
    assert worse.low == both.low == pytest.approx(above.confidence_interval(0.95).low)
    assert both.high == pytest.approx(below.confidence_interval(0.95).high)
    assert worse.high is None
    assert (worse.claim, both.claim) == ("no worse by 0.02 or more", "within 0.02 of each other")


@pytest.mark.parametrize("mean", [-0.03, -0.01, 0.0, 0.01, 0.03])
def test_a_claim_is_shown_exactly_where_its_interval_lies_inside(mean):
    differences = np.random.default_rng(1).normal(0, 0.05, 40)
    found = estimate(differences - differences.mean() + mean)
    worse, both = no_worse(found, 0.02), equivalent(found, 0.02)
    assert worse.shown == (worse.low > -0.02) == (mean >= 0)
    assert both.shown == (both.low > -0.02 and both.high < 0.02) == (mean == 0)


def test_a_false_claim_is_made_as_often_as_the_level():
    generator = np.random.default_rng(2)
    at_the_margin = generator.normal(-0.1, 1.0, (2_000, 120))
    estimates = [estimate(row) for row in at_the_margin]
    assert 0.036 <= np.mean([no_worse(found, 0.1).shown for found in estimates]) <= 0.064
    wide = [estimate(row) for row in generator.normal(0.4, 1.0, (2_000, 120))]
    assert 0.036 <= np.mean([equivalent(found, 0.4).shown for found in wide]) <= 0.064


def test_a_large_p_value_is_no_claim():
    few = estimate(np.array([0.3, -0.3, 0.1, -0.1]))
    assert few.p_value() == 1.0
    assert not equivalent(few, 0.02).shown


def test_ties_everywhere():
    ties = estimate(np.zeros(30))
    assert (no_worse(ties, 0.01).p, equivalent(ties, 0.01).shown) == (0.0, True)
    shifted = estimate(np.full(30, -0.5))
    assert (no_worse(shifted, 0.5).p, no_worse(shifted, 0.25).shown) == (1.0, False)


def test_margins_that_claim_nothing_are_refused():
    for margin in (0.0, -0.1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=f"must be above 0, got {margin}"):
            equivalent(estimate(np.zeros(3)), margin)
    with pytest.raises(ConfigError, match=r"below 0\.5, such as 0\.05, got 0\.95"):
        no_worse(estimate(np.zeros(3)), 0.1, alpha=0.95)
