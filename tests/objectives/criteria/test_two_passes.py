"""Every positive against the negatives of all rows, in tiles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives.criteria.two_passes import TwoPasses

SOME = settings(max_examples=25, deadline=None)


def by_hand(z, positive, negative):
    """The loss of each row, pair by pair, with gradient."""
    rivals = z[negative]
    losses = []
    for row, own in zip(z, positive, strict=True):
        terms = [torch.logaddexp(rivals - each, torch.zeros_like(rivals)).mean() for each in row[own]]
        losses.append(torch.stack(terms).mean() if terms and len(rivals) else 0 * z.sum())
    return torch.stack(losses)


@SOME
@given(
    seed=st.integers(0, 999),
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    tiles=st.integers(1, 3),
    scale=st.sampled_from([1.0, 30.0]),
    share=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_tiles_have_the_losses_and_slopes_of_all_pairs(seed, rows, columns, tiles, scale, share):
    generator = torch.Generator().manual_seed(seed)
    z = (scale * torch.randn(rows, columns, generator=generator, dtype=torch.float64)).requires_grad_()
    kind = torch.rand(rows, columns, generator=generator)
    positive, negative = kind < share, kind > share + 0.05
    slope = torch.randn(rows, generator=generator, dtype=torch.float64)
    expected = by_hand(z, positive, negative)
    (expected * slope).sum().backward()

    size = -(-rows // tiles)
    pieces = [
        (start, z[start : start + size], positive[start : start + size], negative[start : start + size])
        for start in range(0, rows, size)
    ]
    passes, merged = TwoPasses(rows, z.dtype), TwoPasses(rows, z.dtype)
    for start, *tile in pieces:
        passes.collect(*tile, first_row=start)
        other = TwoPasses(len(tile[0]), z.dtype)
        other.collect(*tile)
        merged.merge(other, first_row=start)
    for found in (passes, merged):
        losses, kept = found.losses()
        assert kept.tolist() == (positive.any(dim=1) & negative.any()).tolist()
        torch.testing.assert_close(losses, expected.detach(), rtol=1e-10, atol=1e-14)
        found.begin(slope)
        slopes = torch.cat([found.slopes(*tile, first_row=start) for start, *tile in pieces])
        torch.testing.assert_close(slopes, z.grad, rtol=1e-10, atol=1e-14)
        assert not slopes.requires_grad


def test_a_tile_may_be_part_of_a_row():
    z, positive = torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), torch.eye(3, 8) > 0
    found = []
    for parts in (1, 2):
        passes, size = TwoPasses(3), 8 // parts
        pieces = [tuple(each[:, start : start + size] for each in (z, positive, ~positive)) for start in (0, 4)][:parts]
        for tile in pieces:
            passes.collect(*tile)
        passes.begin(torch.tensor([0.2, 0.3, 0.5]))
        found.append((passes.losses()[0], torch.cat([passes.slopes(*tile) for tile in pieces], dim=1)))
    torch.testing.assert_close(found[0], found[1])


def test_nothing_has_no_losses():
    losses, kept = TwoPasses(3).losses()
    assert losses.tolist() == [0, 0, 0]
    assert kept.tolist() == [False, False, False]


def test_slopes_can_take_the_place_of_the_tile():
    z = torch.tensor([[1.0, 0.0], [0.5, 2.0]])
    positive = torch.eye(2, dtype=torch.bool)
    passes = TwoPasses(2)
    passes.collect(z, positive, ~positive)
    passes.begin(torch.ones(2))
    expected = passes.slopes(z, positive, ~positive)
    assert passes.slopes(z, positive, ~positive, out=z) is z
    torch.testing.assert_close(z, expected)


def test_a_logit_that_is_not_a_number_is_seen():
    z = torch.tensor([[1.0, 0.0], [float("nan"), 2.0]])
    positive = torch.eye(2, dtype=torch.bool)
    passes = TwoPasses(2)
    passes.collect(z, positive, ~positive)
    assert passes.losses()[0].isnan().all()
    passes = TwoPasses(2)
    passes.collect(z, positive, torch.tensor([[False, True], [False, False]]))  # ignored, it does not matter
    assert passes.losses()[0].tolist() == pytest.approx([0.31326166, 0.12692805])
