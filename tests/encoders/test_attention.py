"""Attention with dropout, beside the same thing written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from nearfar.encoders import attention
from nearfar.encoders.attention import attend, can_attend
from nearfar.encoders.dropout import draw_kept, kept_scale


def written_out(query, key, value, mask, probability, scale):
    """Softmax and dropout as whole matrices, with the draws of the generator as it is now."""
    kept = draw_kept((*query.shape[:3], key.shape[2]), probability).double()
    scores = query @ key.transpose(2, 3) * scale
    if mask is not None:
        added = mask if mask.is_floating_point() else torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
        scores = scores + added
    return (torch.softmax(scores, -1) * kept * kept_scale(probability)) @ value


def sides(texts, heads, rows, columns, width, kind=torch.float32, spread=True):
    """Query, key and value, in memory either as a model has them (text, row, head) or straight."""
    shapes = [(texts, rows, heads, width), (texts, columns, heads, width), (texts, columns, heads, width + 1)]
    made = [torch.randn(shape).to(kind).transpose(1, 2) for shape in shapes]
    return [(side if spread else side.contiguous()).detach().requires_grad_() for side in made]


def masks(name, texts, heads, rows, columns):
    lengths = torch.arange(texts) % columns + 1
    padded = (torch.arange(columns) < lengths[:, None])[:, None, None]
    return {
        "none": None,
        "padded": padded,
        "expanded": padded.expand(texts, heads, rows, columns),
        "number": torch.where(padded, 0.0, -torch.inf),
        "bias": torch.randn(1, heads, rows, columns),
        "flat": torch.ones(rows, columns, dtype=torch.bool).tril(),
    }[name]


def compare(inputs, mask, probability=0.3, causal=False, scale=None):
    arriving = torch.randn(*inputs[0].shape[:3], inputs[2].shape[3])
    torch.manual_seed(1)
    found = attend(*inputs, mask, probability, causal, scale)
    found.backward(arriving.to(found.dtype))
    exact = [side.detach().double().requires_grad_() for side in inputs]
    if causal:
        mask = torch.ones(inputs[0].shape[2], inputs[1].shape[2], dtype=torch.bool).tril()
    torch.manual_seed(1)
    wanted = written_out(*exact, mask, probability, inputs[0].shape[3] ** -0.5 if scale is None else scale)
    wanted.backward(arriving.to(found.dtype).double())
    tolerance = {torch.float32: 2e-5, torch.bfloat16: 4e-2}[found.dtype]
    torch.testing.assert_close(found.double(), wanted, atol=tolerance, rtol=tolerance)
    for side, side_exact in zip(inputs, exact, strict=True):
        assert side.grad.dtype == side.dtype
        torch.testing.assert_close(side.grad.double(), side_exact.grad, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["none", "padded", "expanded", "number", "bias", "flat"])
def test_values_and_gradients(name, kind):
    inputs = sides(5, 3, 7, 7, 4, kind)
    compare(inputs, masks(name, 5, 3, 7, 7))


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 4)),
    name=st.sampled_from(["none", "padded", "number", "bias"]),
    piece=st.sampled_from([1, 40, 2**18]),
    spread=st.booleans(),
)
def test_any_shape_in_any_pieces(shape, name, piece, spread):
    before, attention._PIECE = attention._PIECE, piece
    try:
        compare(sides(*shape, spread=spread), masks(name, *shape[:4]))
    finally:
        attention._PIECE = before


def test_causal_and_a_scale_of_its_own():
    compare(sides(2, 2, 5, 5, 4), None, causal=True)
    compare(sides(2, 2, 5, 5, 4), None, scale=0.9)


def test_without_draws_it_is_the_attention_of_pytorch(monkeypatch):
    monkeypatch.setattr(attention, "draw_kept", lambda shape, probability: torch.ones(shape, dtype=torch.int16))
    monkeypatch.setattr(attention, "kept_scale", lambda probability: 1.0)
    inputs = sides(3, 2, 6, 6, 4)
    for name in ("none", "padded", "number", "bias"):
        mask = masks(name, 3, 2, 6, 6)
        torch.testing.assert_close(attend(*inputs, mask, 0.1), scaled_dot_product_attention(*inputs, mask))
    torch.testing.assert_close(attend(*inputs, None, 0.1, True), scaled_dot_product_attention(*inputs, is_causal=True))


def test_autocast_changes_nothing():
    inputs = sides(2, 2, 5, 5, 4)
    torch.manual_seed(0)
    plain = attend(*inputs, None, 0.2)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attend(*inputs, None, 0.2), plain)


def test_what_is_left_to_pytorch():
    query, key, value = sides(2, 4, 3, 3, 4)
    assert can_attend(query, key, value, None, 0.1)
    assert not can_attend(query, key, value, None, 0.0)
    assert not can_attend(query, key[:, :2], value[:, :2], None, 0.1)
    assert not can_attend(query[0], key[0], value[0], None, 0.1)
    assert not can_attend(query.double(), key.double(), value.double(), None, 0.1)
    learned = torch.zeros(3, 3, requires_grad=True)
    assert not can_attend(query, key, value, learned, 0.1)
    blind = torch.ones(2, 1, 3, 3, dtype=torch.bool)
    assert can_attend(query, key, value, blind, 0.1)
    blind[1, 0, 2] = False
    assert not can_attend(query, key, value, blind, 0.1)
    assert not can_attend(query, key, value, torch.where(blind, 0.0, -torch.inf), 0.1)
