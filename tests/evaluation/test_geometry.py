import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group, skew, spearmanr

from nearfar.errors import DataError, ShapeError
from nearfar.evaluation.geometry import (
    alignment,
    anisotropy,
    cloud,
    effective_rank,
    gap,
    hubs,
    length_bias,
    separator_accuracy,
    tolerance,
    uniformity,
    unit,
)
from nearfar.evaluation.space import alarms


def normal(count, width, seed=0, shift=0.0):
    return unit(np.random.default_rng(seed).normal(shift, 1, (count, width)).astype(np.float32))


FRAME = np.eye(8, dtype=np.float32)
COLLAPSED = np.tile(normal(1, 8), (200, 1))


def test_a_collapsed_space():
    found = cloud(COLLAPSED)
    assert found.uniformity == pytest.approx(0, abs=1e-6)
    assert found.anisotropy == pytest.approx(1)
    assert (found.effective_rank, found.alike) == (0.0, 1 - 1 / 200)


def test_a_frame_at_right_angles():
    found = cloud(FRAME)
    assert found.uniformity == pytest.approx(-4)
    assert found.anisotropy == pytest.approx(0)
    assert found.effective_rank == pytest.approx(7)  # a simplex of eight corners has seven dimensions
    assert found.alike == 0


@given(st.integers(2, 30), st.integers(2, 6), st.integers(0, 99))
def test_numbers_by_pairs_and_under_rotation(count, width, seed):
    vectors = normal(count, width, seed, shift=0.3)
    pairs = [(left, right) for left in range(count) for right in range(left)]
    squared = np.array([np.square(vectors[a].astype(float) - vectors[b]).sum() for a, b in pairs])
    assert uniformity(vectors) == pytest.approx(np.log(np.exp(-2 * squared).mean()), abs=1e-5)
    assert anisotropy(vectors) == pytest.approx((1 - squared / 2).mean(), abs=1e-5)
    values = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    shares = values[values > 1e-9 * values.sum()] / values.sum()
    assert effective_rank(vectors) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-3)
    turned = unit((vectors @ ortho_group.rvs(width, random_state=seed)).astype(np.float32))
    before, after = cloud(vectors), cloud(turned)
    for name in ("uniformity", "anisotropy", "effective_rank"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), abs=1e-3)
    assert alignment(turned[1:], turned[:-1]) == pytest.approx(alignment(vectors[1:], vectors[:-1]), abs=1e-4)


def test_pairs_over_several_blocks():
    vectors = normal(2500, 4)
    cosines = (vectors @ vectors.T).astype(np.float64)
    kept = np.exp(4 * cosines[np.triu_indices(2500, 1)] - 4).mean()
    assert uniformity(vectors) == pytest.approx(np.log(kept), abs=1e-5)


def test_tolerance_by_hand():
    vectors = unit(np.array([[1, 0], [1, 1], [0, 1], [0, 1], [1, 0]], dtype=np.float32))
    # Classes {0, 1} with cosine 0.7071, {2, 3} with 1, and one alone.
    assert tolerance(vectors, np.array([5, 5, 7, 7, 9])) == pytest.approx((np.sqrt(0.5) + 1) / 2)
    assert tolerance(vectors, np.arange(5)) is None
    assert tolerance(vectors, np.zeros(5, int)) == pytest.approx(anisotropy(vectors))
    with pytest.raises(ShapeError, match="2 labels for 5 vectors"):
        tolerance(vectors, np.zeros(2, int))


def test_alignment_by_hand():
    assert alignment(FRAME[:2], FRAME[:2]) == 0
    assert alignment(FRAME[:2], FRAME[1:3]) == pytest.approx(2)
    assert alignment(FRAME[:2], -FRAME[:2]) == pytest.approx(4)
    with pytest.raises(DataError, match="at least one pair"):
        alignment(FRAME[:0], FRAME[:0])


def test_the_gap_between_two_sides():
    left, right = normal(300, 16), normal(300, 16, seed=1)
    assert gap(left, left) == 0
    assert separator_accuracy(left, right, seed=0) == pytest.approx(0.5, abs=0.08)
    apart = unit(right + np.float32(2) * FRAME[0].repeat(2))
    assert gap(left, apart) > 0.8
    assert separator_accuracy(left, apart, seed=0) > 0.95
    assert separator_accuracy(left, apart, seed=0) == separator_accuracy(left, apart, seed=0)
    assert separator_accuracy(left[:9], apart, seed=0) is None


def test_hubs_by_hand():
    found = hubs(np.array([[0, 1, 2], [0, 2, 1], [0, 3, -1]]), 5, depth=2)
    counts = np.array([3, 1, 1, 1, 0])
    assert found.skew == pytest.approx(skew(counts))
    assert (found.most, found.most_share, found.never, found.depth) == (3, 1.0, 0.2, 2)
    chance = 6 / 15
    assert found.skew_by_chance == pytest.approx((1 - 2 * chance) / np.sqrt(3 * chance * (1 - chance)))
    even = hubs(np.arange(6).reshape(3, 2), 6)
    assert (even.skew, even.depth) == (0.0, 2)
    with pytest.raises(DataError, match="there are 0 rankings of 4 documents"):
        hubs(np.zeros((0, 3), int), 4)


def test_random_rankings_have_the_skew_of_chance():
    generator = np.random.default_rng(0)
    found = hubs(np.array([generator.permutation(400)[:10] for _ in range(2000)]), 400)
    assert found.skew == pytest.approx(found.skew_by_chance, abs=0.25)


def test_length_bias():
    queries = np.tile(FRAME[:1], (5, 1))
    angles = np.linspace(0.1, 1.4, 50)
    documents = np.zeros((50, 8), np.float32)
    documents[:, 0], documents[:, 1] = np.cos(angles), np.sin(angles)
    lengths = np.random.default_rng(0).integers(10, 99, 50)
    assert length_bias(queries, documents, np.arange(50)) == pytest.approx(-1)
    assert length_bias(queries, documents, lengths) == pytest.approx(spearmanr(np.cos(angles), lengths).statistic)
    assert length_bias(queries, documents, np.full(50, 7)) is None
    assert length_bias(queries, np.tile(FRAME[:1], (50, 1)), lengths) is None


def test_lengths_of_vectors():
    vectors = np.array([[3, 4], [0, 0], [1e30, 0], [1e-30, 1e-30]], dtype=np.float32)
    assert unit(vectors) == pytest.approx(np.array([[0.6, 0.8], [0, 0], [1, 0], [0.5**0.5, 0.5**0.5]]))
    vectors[[1, 3], 0] = np.nan, np.inf
    with pytest.raises(DataError, match=r"2 of 4 query vectors hold NaN or infinity, rows 1, 3\. Did training diverge"):
        unit(vectors, "query vectors")
    with pytest.raises(DataError, match="at least two of them, it got 1"):
        cloud(FRAME[:1])


def test_alarms():
    assert alarms("documents", cloud(normal(500, 64))) == []
    assert alarms("documents", cloud(COLLAPSED[:99])) == []  # too few to say
    raised = {alarm.name: alarm for alarm in alarms("documents", cloud(COLLAPSED))}
    assert list(raised) == ["anisotropy", "uniformity", "alike", "effective_rank"]
    assert raised["effective_rank"].sentence == (
        "The documents vary in 0.0 of 8 directions, fewer than 4: most dimensions say nothing."
    )
    assert "cosine of 1.00 on average, above 0.9" in raised["anisotropy"].sentence
    flat = np.pad(normal(500, 3), ((0, 0), (0, 61)))
    assert [alarm.name for alarm in alarms("queries", cloud(flat))] == ["effective_rank"]
