"""Dropout that is drawn 16 bits an entry."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from nearfar.encoders.dropout import can_drop, draw_kept, dropped, kept_scale, set_dropout
from nearfar.encoders.load import load
from nearfar.encoders.protocol import Role

KINDS = (torch.float32, torch.bfloat16)


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_dropout = 0.1
        self.inner = torch.nn.Dropout(0.3)


def test_modules_and_attributes():
    module = torch.nn.Sequential(Attention(), torch.nn.Dropout(0.2), torch.nn.Linear(2, 2))
    set_dropout(module, 0.0)
    assert [module[0].attention_dropout, module[0].inner.p, module[1].p] == [0.0, 0.0, 0.0]


def test_a_transformer_without_dropout_is_the_same_in_training_and_in_use():
    encoder = load("package:cognition/model")
    features = encoder.features(["a text", "a longer text of several words"], Role.QUERY)
    encoder.train()
    set_dropout(encoder, 0.5)
    assert not torch.allclose(encoder(features), encoder(features))
    set_dropout(encoder, 0.0)
    trained = encoder(features)
    torch.testing.assert_close(trained, encoder.eval()(features), atol=1e-5, rtol=0)


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.97])
def test_the_share_that_stays(probability):
    count = 1_000_000
    kept = draw_kept((1000, 1000), probability).double()
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    deviation = (probability * (1 - probability) / count) ** 0.5
    assert abs(kept.mean().item() - (1 - probability)) < 5 * deviation
    assert kept_scale(probability) == pytest.approx(1 / (1 - probability), rel=1e-3 if probability > 0.9 else 1e-4)


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 5, 8, 97])
def test_neighbours_are_independent(distance):
    kept = draw_kept((1_000_000,), 0.25).double() - 0.75
    together = (kept[distance:] * kept[:-distance]).mean() / (0.25 * 0.75)
    assert abs(together.item()) < 5 / 1000


def test_every_place_of_a_word_has_the_share():
    kept = draw_kept((250_000, 4), 0.1).double().mean(dim=0)
    torch.testing.assert_close(kept, torch.full((4,), 0.9, dtype=torch.float64), atol=5 * 0.0006, rtol=0)


@given(shape=st.lists(st.integers(0, 7), max_size=4), kind=st.sampled_from(KINDS), seed=st.integers(0, 99))
def test_values_are_dropped_or_scaled_and_gradients_likewise(shape, kind, seed):
    torch.manual_seed(seed)
    tensor = (torch.rand(shape).to(kind) + 1).requires_grad_()
    arriving = torch.rand(shape).to(kind) + 1
    found = dropped(tensor, 0.4)
    found.backward(arriving)
    stays = found != 0
    scale = kept_scale(0.4)
    torch.testing.assert_close(found, torch.where(stays, tensor * scale, 0.0).to(kind))
    torch.testing.assert_close(tensor.grad, torch.where(stays, arriving * scale, 0.0).to(kind))
    assert found.dtype == tensor.grad.dtype == kind


def test_axes_in_another_order():
    tensor = torch.rand(5, 6, 7).transpose(0, 2) + 1
    found = dropped(tensor, 0.3)
    torch.testing.assert_close(found, torch.where(found != 0, tensor * kept_scale(0.3), 0.0))


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_stays(kind):
    found = dropped(torch.ones(1000, 1000, dtype=kind), 0.1).double()
    # In bfloat16 the scale itself is rounded, to 0.2 percent, as it is in PyTorch.
    assert abs(found.mean().item() - 1) < 0.003


def test_draws_are_those_of_the_generator():
    torch.manual_seed(5)
    first = draw_kept((3, 5), 0.5)
    state = torch.get_rng_state()
    second = draw_kept((3, 5), 0.5)
    torch.set_rng_state(state)
    assert torch.equal(draw_kept((3, 5), 0.5), second)
    torch.manual_seed(5)
    assert torch.equal(draw_kept((3, 5), 0.5), first)
    with torch.random.fork_rng(devices=[]):
        forked = draw_kept((100,), 0.5)
    assert torch.equal(draw_kept((100,), 0.5), forked)


def test_a_checkpoint_repeats_the_draws():
    tensor = torch.rand(50, 50).requires_grad_()
    found = checkpoint(lambda each: dropped(each, 0.5).square(), tensor, use_reentrant=False)
    found.sum().backward()
    scale = kept_scale(0.5)
    torch.testing.assert_close(tensor.grad, torch.where(found != 0, 2 * tensor * scale**2, 0.0))


def test_what_is_left_to_pytorch():
    tensor = torch.ones(2)
    assert can_drop(tensor, 0.1)
    assert not any(can_drop(tensor, probability) for probability in (0.0, 1e-9, 1.0, 1 - 1e-9))
    assert not any(can_drop(tensor.to(kind), 0.1) for kind in (torch.float64, torch.float16))
    assert not can_drop(tensor.to("meta"), 0.1)
