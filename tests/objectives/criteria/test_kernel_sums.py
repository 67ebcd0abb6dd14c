"""Sums over all differences of two lists of numbers against the same one by one in double precision."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nearfar.errors import ResourceError
from nearfar.objectives.criteria import kernel_sums, narrow_bins
from nearfar.objectives.criteria.kernel_sums import NegativeSums, PositiveSlopes
from nearfar.objectives.criteria.narrow_bins import WIDTH
from nearfar.objectives.criteria.node_sums import MOST_NODES, SPACING

SOME = settings(max_examples=40, deadline=None)
DTYPES = [torch.float32, torch.float64]
ERROR = {torch.float32: 1e-6, torch.float64: 1e-11}
SMALLEST = {torch.float32: 2e-37, torch.float64: 1e-300}
"""What single precision holds with all its digits."""

NUMBERS = st.lists(
    st.one_of(
        st.floats(-40, 40, width=32),
        st.floats(-1e4, 1e4, width=32),
        st.integers(-9000, 9000).map(lambda step: step * WIDTH),
        st.sampled_from([0.0, -0.0, 1e4, -1e4, 0.25, 0.25]),
    ),
    max_size=12,
)
ENDS = [end for place in range(-50, 50) for end in (3 * place * WIDTH, (3 * place + 0.999) * WIDTH)]
"""Numbers at both ends of their bins, where a mean stands for the most."""


def by_hand(negatives, positives):
    """Sums of softplus and of sigmoid at each positive, one by one."""
    difference = negatives.double()[None, :] - positives.double()[:, None]
    tail = (-difference.abs()).exp()
    slope = torch.where(difference > 0, 1.0, tail) / (1 + tail)
    return (difference.clamp(min=0) + tail.log1p()).sum(dim=1), slope.sum(dim=1)


def slopes_by_hand(positives, weights, values):
    """The slope at each value, and the sum of the absolute slopes."""
    difference = values.double()[:, None] - positives.double()[None, :]
    tail = (-difference.abs()).exp()
    slope = torch.where(difference > 0, 1.0, tail) / (1 + tail)
    return slope @ weights.double(), slope @ weights.double().abs()


def sums_of(numbers, dtype=torch.float32):
    sums = NegativeSums(dtype)
    sums.add(torch.tensor(numbers, dtype=dtype))
    return sums


@pytest.mark.parametrize("dtype", DTYPES)
@SOME
@given(negatives=NUMBERS, positives=NUMBERS)
@example(negatives=ENDS, positives=[0.0, 0.7, -60.0, 60.0, 80.0])
@example(negatives=[0.0] * 50, positives=[0.0, 39.9, 40.1, -39.9, -40.1, 86.0, -1e4])
@example(negatives=[-5000.0, 0.0, 5000.0], positives=[-5000.0, 0.5, 4999.0])
@example(negatives=[20000.0, 20001.0], positives=[20000.0, 19990.0])
@example(negatives=[], positives=[1.0])
@example(negatives=[1.0], positives=[])
def test_sums_are_those_one_by_one(dtype, negatives, positives):
    sums, places = sums_of(negatives, dtype), torch.tensor(positives, dtype=dtype)
    assert sums.count == len(negatives)
    expected = by_hand(torch.tensor(negatives, dtype=dtype), places)
    for found, exact in zip((sums.softplus(places), sums.sigmoid(places)), expected, strict=True):
        assert found.dtype == dtype
        assert ((found.double() - exact).abs() <= ERROR[dtype] * exact + SMALLEST[dtype]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@SOME
@given(positives=NUMBERS, values=NUMBERS, size=st.sampled_from([1e-8, 1.0, 1e8]), signed=st.booleans())
@example(positives=ENDS, values=[WIDTH * step / 2 for step in range(-20, 20)], size=1.0, signed=True)
@example(positives=[0.0, 3.0], values=[-86.0, -60.0, -40.0, 25.0, 30.0, 1e30, -1e30], size=1.0, signed=False)
@example(positives=[0.0], values=[-120.0, -105.0, -86.0], size=1e8, signed=False)
@example(positives=[20000.0], values=[20000.0, 19990.0, 0.0], size=1.0, signed=False)
def test_slopes_are_those_one_by_one(dtype, positives, values, size, signed):
    generator = torch.Generator().manual_seed(len(positives))
    weights = size * (torch.rand(len(positives), generator=generator, dtype=dtype) - (0.5 if signed else -0.1))
    places, asked = (torch.tensor(each, dtype=dtype) for each in (positives, values))
    found = PositiveSlopes(places, weights).at(asked)
    assert found.dtype == dtype
    expected, scale = slopes_by_hand(places, weights, asked)
    assert ((found.double() - expected).abs() <= ERROR[dtype] * scale + SMALLEST[dtype]).all()


@settings(max_examples=15, deadline=None)
@given(pieces=st.lists(NUMBERS, max_size=4), seed=st.integers(0, 99))
def test_pieces_masks_and_mergers_are_the_whole(pieces, seed):
    numbers = [number for piece in pieces for number in piece]
    whole, apart, merged = sums_of(numbers), NegativeSums(), NegativeSums()
    others = torch.tensor([*numbers, 5.5, -3.0, 1e30, math.nan])
    order = torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))
    masked = NegativeSums()
    masked.add(others[order][:, None], (order < len(numbers))[:, None])
    for piece in pieces:
        apart.add(torch.tensor(piece))
        merged.merge(sums_of(piece))
    places = torch.tensor([-1e4, -20.0, 0.0, 0.3, 20.0])
    for found in (apart, merged, masked):
        assert (found.count, found.finite) == (len(numbers), True)
        torch.testing.assert_close(found.softplus(places), whole.softplus(places), rtol=1e-6, atol=0)
        torch.testing.assert_close(found.sigmoid(places), whole.sigmoid(places), rtol=1e-6, atol=0)


def test_a_mask_is_followed_where_it_is_taken_back_and_where_it_is_chosen(monkeypatch):
    monkeypatch.setattr(kernel_sums, "at_once", lambda values: 7)
    values, chosen = torch.linspace(-5, 5, 60).view(6, 10), torch.arange(60).view(6, 10) % 3 > 0
    places = torch.tensor([-1.0, 2.0])
    for hidden in (0.0, 1e6, math.inf, math.nan):
        for dtype in DTYPES:
            sums = NegativeSums(dtype)
            sums.add(torch.where(chosen, values, hidden), chosen)
            assert sums.count == 40
            expected = by_hand(values[chosen], places)[0].float()
            torch.testing.assert_close(sums.softplus(places), expected, rtol=1e-6, atol=0)


def test_bins_do_not_notice_order_or_pieces():
    numbers = torch.randn(3000, generator=torch.Generator().manual_seed(0)) * 20
    places = numbers[:50]
    whole, other, merged = NegativeSums(), NegativeSums(), NegativeSums()
    whole.add(numbers)
    for piece in numbers.flip(0).split(701):
        other.add(piece)
        part = NegativeSums()
        part.add(piece)
        merged.merge(part)
    for found in (other, merged):
        assert torch.equal(found.softplus(places), whole.softplus(places))


def test_what_is_known_is_kept_until_there_is_more():
    sums = sums_of([0.0])
    wide, narrow = torch.tensor([-3.0, 3.0]), torch.tensor([1.0])
    before = sums.softplus(wide), sums.softplus(narrow), sums.softplus(torch.tensor([30.0]))
    sums.add(torch.tensor([0.0]))
    after = sums.softplus(wide), sums.softplus(narrow), sums.softplus(torch.tensor([30.0]))
    for one, both in zip(before, after, strict=True):
        torch.testing.assert_close(both, 2 * one)


def test_negatives_without_a_place_in_the_bins_are_summed_all_the_same(monkeypatch):
    monkeypatch.setattr(kernel_sums, "MOST_BINS", 2**13)
    monkeypatch.setattr(narrow_bins, "MOST_BINS", 2**13)
    numbers = torch.randn(500, generator=torch.Generator().manual_seed(0)) * 50
    first, second = NegativeSums(), NegativeSums()
    first.add(numbers[:200])
    second.add(numbers[200:] + 3)
    first.merge(second)
    places = torch.linspace(-200, 80, 20)
    expected = by_hand(torch.cat([numbers[:200], numbers[200:] + 3]), places)[0]
    torch.testing.assert_close(first.softplus(places).double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_a_number_and_no_error(dtype, odd):
    places, numbers = torch.tensor([0.0, odd, 1.0], dtype=dtype), torch.tensor([1.0, odd], dtype=dtype)
    sums = sums_of([1.0, 2.0], dtype)
    assert sums.softplus(places).isfinite().tolist() == [True, False, True]
    broken = NegativeSums(dtype)
    broken.add(numbers)
    sums.merge(broken)
    for each in (broken, sums):
        assert not each.finite
        assert each.softplus(places).isnan().all()
        assert each.sigmoid(places).isnan().all()
    assert PositiveSlopes(numbers, torch.ones(2, dtype=dtype)).at(places).isnan().all()
    assert PositiveSlopes(torch.ones(2, dtype=dtype), numbers).at(places).isnan().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_slope_at_what_is_not_finite(dtype):
    values = torch.tensor([[math.nan, math.inf, -math.inf], [0.0, 1e35, -1e35]], dtype=dtype)
    slopes = PositiveSlopes(torch.tensor([-2.0, 2.0], dtype=dtype), torch.tensor([0.5, 0.25], dtype=dtype)).at(values)
    assert slopes[0, 0].isnan()
    expected = torch.tensor([0.5 / (1 + math.exp(-2)) + 0.25 / (1 + math.exp(2)), 0.75, 0.0], dtype=dtype)
    torch.testing.assert_close(slopes[1], expected)
    torch.testing.assert_close(slopes[0, 1:], expected[1:])
    nobody = PositiveSlopes(torch.zeros(0, dtype=dtype), torch.zeros(0, dtype=dtype)).at(values)
    assert nobody.nan_to_num(nan=-1.0).tolist() == [[-1, 0, 0], [0, 0, 0]]


def test_slopes_may_take_the_place_of_the_values():
    values = torch.linspace(-9, 9, 40).view(5, 8).T
    slopes = PositiveSlopes(torch.tensor([0.3]), torch.tensor([2.0]))
    expected = slopes.at(values)
    torch.testing.assert_close(expected, 2 * torch.sigmoid(values - 0.3))
    own = values.contiguous()
    assert slopes.at(own, out=own) is own
    assert torch.equal(own, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_too_far_apart_are_refused(dtype):
    apart = torch.tensor([0.0, MOST_NODES * SPACING], dtype=dtype)
    with pytest.raises(ResourceError, match="logits may lie 131,072 apart"):
        sums_of([0.0, MOST_NODES * SPACING], dtype).softplus(torch.zeros(1, dtype=dtype))
    with pytest.raises(ResourceError, match="logits may lie 131,072 apart"):
        sums_of([0.0], dtype).softplus(apart)
    with pytest.raises(ResourceError, match="logits may lie 131,072 apart"):
        PositiveSlopes(apart, torch.ones(2, dtype=dtype))
    # What has sums has slopes, however wide.
    nearly = torch.tensor([0.0, MOST_NODES * SPACING - 3], dtype=dtype)
    assert sums_of([0.0], dtype).softplus(nearly)[0].item() == pytest.approx(math.log(2))
    assert PositiveSlopes(nearly, torch.ones(2, dtype=dtype)).at(nearly).tolist() == pytest.approx([0.5, 1.5])


def test_four_million_negatives():
    generator = torch.Generator().manual_seed(0)
    negatives = torch.randn(2**22, generator=generator) * 12 - 20
    positives = torch.randn(4096, generator=generator) * 12
    weights = torch.rand(4096, generator=generator) / 4096
    sums, slopes = NegativeSums(), PositiveSlopes(positives, weights)
    for piece in negatives.split(10**6):
        sums.add(piece)
    some = positives[:6]
    for found, exact in zip((sums.softplus(positives), sums.sigmoid(positives)), by_hand(negatives, some), strict=True):
        torch.testing.assert_close(found[:6].double(), exact, rtol=1e-6, atol=0)
    found = slopes.at(negatives)[:2000]
    expected, _ = slopes_by_hand(positives, weights, negatives[:2000])
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
