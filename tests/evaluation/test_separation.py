import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.evaluation.separation import FALSE_SHARES, auc, auc_by_query, separation

# The fixture of the specification: three queries, the relevant document of each on the diagonal.
SCORES = np.array([[0.8, 0.7, 0.1], [0.2, 0.6, 0.5], [0.65, 0.3, 0.9]])
QUERY = np.repeat(np.arange(3), 3)


def flat(scores=SCORES):
    return scores.reshape(-1), np.eye(len(scores), dtype=bool).reshape(-1), np.repeat(np.arange(len(scores)), 3)


def counted(scores, relevant):
    """The definition: all pairs of a relevant and another one."""
    high, low = scores[relevant], scores[~relevant]
    return np.mean([(a > b) + 0.5 * (a == b) for a in high for b in low])


def test_within_is_perfect_and_pooled_is_not():
    found = separation(*flat())
    assert (found.within.value, found.queries, found.relevant, found.others) == (1.0, 3, 3, 6)
    # Of 18 comparisons over all queries, 0.6 against 0.7 and against 0.65 go wrong: 16 / 18.
    assert found.pooled.value == pytest.approx(8 / 9)
    assert found.gap.value == pytest.approx(1 / 9)


def test_a_shift_of_one_query_changes_only_the_pooled_area():
    moved = SCORES + np.array([[0.0], [-5.0], [0.0]])
    before, after = separation(*flat()), separation(*flat(moved))
    assert after.within == before.within
    assert after.pooled.value < before.pooled.value


columns = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=2, max_size=40)


@given(columns)
def test_areas_equal_the_counting_of_pairs(rows):
    scores, relevant, query = (np.array(column) for column in zip(*rows, strict=True))
    scores = scores.astype(np.float64)
    if relevant.all() or not relevant.any():
        with pytest.raises(DataError, match="needs pairs of both kinds"):
            auc(scores, relevant)
    else:
        assert auc(scores, relevant) == pytest.approx(counted(scores, relevant))
        assert auc(scores, relevant) == pytest.approx(roc_auc_score(relevant, scores))
    expected = {
        int(q): counted(scores[query == q], relevant[query == q])
        for q in np.unique(query)
        if 0 < relevant[query == q].sum() < (query == q).sum()
    }
    found, areas = auc_by_query(scores, relevant, query)
    assert dict(zip(found.tolist(), areas.tolist(), strict=True)) == pytest.approx(expected)
    if expected:
        both = separation(scores, relevant, query)
        kept = np.isin(query, list(expected))
        assert both.pooled.value == pytest.approx(counted(scores[kept], relevant[kept]))
        assert both.within.value == pytest.approx(np.mean(list(expected.values())))


def simulated(generator, queries, shift=1.0):
    """Ten documents a query, two of them relevant; queries have scales of their own."""
    relevant = np.tile(np.arange(10) < 2, (queries, 1))
    scores = generator.normal(size=(queries, 10)) + 1.2 * relevant + shift * generator.normal(size=(queries, 1))
    return scores.reshape(-1), relevant.reshape(-1), np.repeat(np.arange(queries), 10)


def test_curves_are_those_of_scikit_learn():
    scores, relevant, query = simulated(np.random.default_rng(0), 60)
    found = separation(scores, relevant, query)
    false, true, _ = roc_curve(relevant, scores, drop_intermediate=False)
    assert np.allclose(found.found_pooled, np.interp(FALSE_SHARES, false, true), atol=1e-6)
    curves = [roc_curve(relevant[query == q], scores[query == q], drop_intermediate=False) for q in range(60)]
    mean = np.mean([np.interp(FALSE_SHARES, false, true) for false, true, _ in curves], axis=0)
    assert np.allclose(found.found_within, mean, atol=1e-6)


def test_intervals_cover_the_truth():
    generator = np.random.default_rng(1)
    truth = separation(*simulated(generator, 5_000))
    covered = np.zeros(3)
    for _ in range(250):
        found = separation(*simulated(generator, 60))
        for place, name in enumerate(("within", "pooled", "gap")):
            value, one = getattr(truth, name).value, getattr(found, name)
            covered[place] += one.low <= value <= one.high
    assert (np.abs(covered / 250 - 0.95) < 0.04).all(), covered / 250  # 2.8 standard errors


@pytest.mark.parametrize("count", [1, 3])
def test_ties_everywhere_are_chance(count):
    found = separation(np.full(count * 4, 0.3), np.tile([True, False, False, False], count), np.arange(count * 4) // 4)
    assert (found.within.value, found.pooled.value, found.gap.value) == (0.5, 0.5, 0.0)
    assert (found.gap.low, found.gap.high) == (0.0, 0.0)


def test_queries_of_one_kind_do_not_count():
    scores = np.array([0.9, 0.1, 0.5, 0.4])
    relevant = np.array([True, False, True, True])
    found = separation(scores, relevant, np.array([7, 7, 8, 8]))
    assert (found.queries, found.relevant, found.pooled.value) == (1, 1, 1.0)
    with pytest.raises(DataError, match="No query has both a relevant and another document among 2 pairs"):
        separation(scores[2:], relevant[2:], np.array([8, 8]))


def test_bad_input_is_refused_in_words():
    scores, relevant, query = flat()
    with pytest.raises(DataError, match=r"2 of 9 are NaN or infinite, those of pairs 1, 4\. Look for NaN"):
        separation(np.where(np.isin(np.arange(9), [1, 4]), np.nan, scores), relevant, query)
    with pytest.raises(ShapeError, match="there are 9 scores, 8 kinds and 9 queries"):
        separation(scores, relevant[:8], query)
    with pytest.raises(ConfigError, match="confidence must be between 0 and 1"):
        separation(scores, relevant, query, confidence=95.0)
