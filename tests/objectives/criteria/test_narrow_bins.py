"""Many numbers in few bins."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives.criteria import narrow_bins
from nearfar.objectives.criteria.narrow_bins import LARGEST, MOST_BINS, WIDTH, NarrowBins, where

SOME = settings(max_examples=40, deadline=None)
NUMBERS = st.lists(
    st.one_of(
        st.floats(-50, 50, width=32),
        st.integers(-3000, 3000).map(lambda step: step * WIDTH),
        st.sampled_from([0.0, -0.0, 1e-30, -1e-30, 1.0, 1.0]),
    ),
    min_size=1,
    max_size=30,
)


def holding(*pieces):
    bins = NarrowBins()
    for numbers in pieces:
        assert bins.reach(min(numbers), max(numbers))
        bins.add(torch.tensor(numbers))
    return bins


def by_hand(numbers):
    """Bins and their means, in float64."""
    found = {}
    for number in torch.tensor(numbers).double().tolist():
        found.setdefault(number // WIDTH, []).append(number)
    return {place: (sum(some) / len(some), len(some)) for place, some in sorted(found.items())}


@SOME
@given(numbers=NUMBERS)
def test_each_bin_has_its_count_and_its_mean(numbers):
    points, counts = holding(numbers).points()
    expected = by_hand(numbers)
    assert counts.tolist() == [count for _, count in expected.values()]
    assert points.tolist() == pytest.approx([mean for mean, _ in expected.values()], abs=2 * WIDTH / 2**16)


@SOME
@given(numbers=NUMBERS, others=NUMBERS)
def test_pieces_in_any_order_merged_or_taken_back_are_the_whole_bit_by_bit(numbers, others):
    whole, merged = holding(numbers + others), holding(numbers)
    pieces = holding(others[::-1], *([number] for number in numbers))
    other = holding(others)
    assert merged.reach(*other.ends)
    merged.merge(other)
    back = holding(others, numbers, others)
    back.take_back(torch.tensor(others))
    for found in (pieces, merged, back):
        for one, expected in zip(found.points(), whole.points(), strict=True):
            assert torch.equal(one, expected)


def test_counts_and_places_are_taken_apart_in_time(monkeypatch):
    monkeypatch.setattr(narrow_bins, "_ROOM", 8)
    monkeypatch.setattr(narrow_bins, "at_once", lambda numbers: 5)
    numbers = torch.full((1001,), 3 * WIDTH - WIDTH / 4)
    bins = NarrowBins()
    bins.reach(0.0, 1.0)
    bins.add(numbers)
    bins.take_back(numbers[:7])
    other = holding([0.5, 0.5])
    bins.merge(other)
    other.merge(bins)
    for found, more in ((bins, 2), (other, 4)):
        points, counts = found.points()
        assert counts.tolist() == [994, more]
        assert points.tolist() == [numbers[0].item(), 0.5]


def test_a_million_equal_numbers():
    bins = holding([0.0])
    bins.add(torch.full((2**20,), 0.75 * WIDTH))
    points, counts = bins.points()
    assert counts.tolist() == [2**20 + 1]
    assert points.item() == pytest.approx(0.75 * WIDTH, rel=1e-5)


@pytest.mark.parametrize(
    ("lowest", "highest"),
    [(0.0, MOST_BINS * WIDTH), (0.0, LARGEST), (-LARGEST, 0.0), (float("nan"), float("nan")), (0.0, float("inf"))],
)
def test_there_is_no_room_for_what_is_too_far(lowest, highest):
    bins = NarrowBins()
    assert not bins.reach(lowest, highest)
    assert bins.ends is None
    bins = holding([1.0])
    assert not bins.reach(lowest, highest)
    assert bins.points()[0].tolist() == [1.0]


def test_its_ends_are_within_reach():
    bins = holding([-3.0, 200.0])
    lowest, highest = bins.ends
    assert lowest <= -3
    assert highest >= 200
    bins.add(torch.tensor([lowest, highest]))
    assert bins.points()[1].tolist() == [1, 1, 1, 1]


def test_where_a_mask_holds():
    assert where(torch.tensor([False, True, True])).tolist() == [1, 2]
    assert where(torch.zeros(0, dtype=torch.bool)).tolist() == []
