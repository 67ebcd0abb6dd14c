"""Points as weighted nodes, and sums over them."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nearfar.errors import ResourceError
from nearfar.objectives.criteria.node_sums import MOST_NODES, POINTS, SPACING, Curve, Nodes, nodes_around

SOME = settings(max_examples=40, deadline=None)
NUMBERS = st.lists(
    st.one_of(st.floats(-60, 60), st.floats(-1e4, 1e4), st.integers(-400, 400).map(lambda step: step * SPACING)),
    min_size=1,
    max_size=12,
)


def by_hand(points, weights, places):
    """Both sums one by one, and what their errors are measured by: the sums of the absolute values."""
    difference = points[None, :] - places[:, None]
    tail = np.exp(-np.abs(difference))
    soft, slope = np.logaddexp(0, difference), np.where(difference > 0, 1, tail) / (1 + tail)
    return [(kernel @ weights, kernel @ np.abs(weights)) for kernel in (soft, slope)]


@SOME
@given(points=NUMBERS, places=NUMBERS, signed=st.booleans(), seed=st.integers(0, 99))
@example(points=[0.0], places=[39.99, 40.0, 40.01, 40.13, -39.99, -40.0, -40.2, 745.0, 1e4, -1e4], signed=False, seed=0)
@example(points=[-1e4, 1e4], places=[0.0, -1e4, 1e4], signed=True, seed=0)
def test_both_sums_are_those_over_the_points(points, places, signed, seed):
    points, places = np.array(points), np.array(places)
    weights = np.random.default_rng(seed).uniform(-1 if signed else 0.1, 1, len(points))
    curves = Nodes.of(points, weights).sums(*nodes_around(places.min(), places.max()))
    for curve, (expected, scale) in zip(curves, by_hand(points, weights, places), strict=True):
        assert (np.abs(curve.at(places) - expected) <= 1e-11 * scale + 1e-300).all()


@SOME
@given(points=NUMBERS, others=NUMBERS)
def test_points_can_be_added(points, others):
    first, second = (Nodes.of(np.array(each), np.ones(len(each))) for each in (points, others))
    both = Nodes.of(np.array(points + others), np.ones(len(points) + len(others)))
    found = first + second
    np.testing.assert_allclose(found.weights, both.between(found.first, found.first + len(found.weights)), atol=1e-13)
    assert found.weights.sum() == pytest.approx(len(points) + len(others))


def test_nothing_sums_to_nothing():
    nothing, one = Nodes.of(np.zeros(0), np.zeros(0)), Nodes.of(np.ones(1), np.ones(1))
    assert all((curve.values == 0).all() and len(curve.values) == 7 for curve in nothing.sums(-3, 7))
    assert (nothing + one) is one
    assert (one + nothing) is one


def test_a_polynomial_of_eleventh_degree_is_followed_exactly():
    nodes = np.arange(-8, 20)
    curve = Curve(-8, (nodes / 8.0) ** (POINTS - 1))
    places = np.array([-0.3, 0.0, 0.7, 1.49])
    np.testing.assert_allclose(curve.at(places), (places / SPACING / 8) ** (POINTS - 1), atol=1e-12)


def test_finer_steps_begin_where_the_first_place_has_all_its_nodes():
    curve = Curve(5, np.sin(np.arange(5, 40) * SPACING))
    steps = (5 + POINTS // 2 - 1) * SPACING + np.arange(len(curve.finer(4))) * SPACING / 4
    np.testing.assert_allclose(curve.finer(4), np.sin(steps), atol=1e-14)


@pytest.mark.parametrize("places", [[0.0, MOST_NODES * SPACING], [-1e30, 1e30], [-1.7e308, 1.7e308]])
def test_points_too_far_apart_are_refused(places):
    with pytest.raises(ResourceError, match=r"logits may lie 131,072 apart\. These lie .* apart"):
        Nodes.of(np.array(places), np.ones(2))
    one, other = (Nodes.of(np.array([place]), np.ones(1)) for place in (0.0, MOST_NODES * SPACING))
    with pytest.raises(ResourceError, match="larger temperature"):
        one + other
