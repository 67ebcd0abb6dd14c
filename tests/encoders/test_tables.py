"""Gradients of token tables that are made once in a step."""

import gc

import pytest
import torch
from torch import nn
from torch.nn.functional import embedding
from torch.utils.checkpoint import checkpoint

from nearfar.encoders import tables
from nearfar.encoders.processor import quick_on_processor
from nearfar.encoders.tables import can_look_up, looked_up


@pytest.fixture(autouse=True)
def _every_table_is_large(monkeypatch):
    monkeypatch.setattr(tables, "_LARGE", 1)


def table():
    return nn.Parameter(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)))


PASSES = [torch.tensor([[1, 2, 2], [0, 8, 1]]), torch.tensor([[2], [7]]), torch.tensor([[0, 0]])]


def gradient(look_up, weight):
    weight.grad = None
    sum((look_up(places, weight) ** 3).sum() for places in PASSES).backward()
    return weight.grad


@pytest.mark.parametrize("padding", [None, 0, 2, -1])
def test_rows_and_gradients_of_several_passes(padding):
    weight = table()
    for places in PASSES:
        assert torch.equal(looked_up(places, weight, padding), embedding(places, weight))
    plain = gradient(lambda places, each: embedding(places, each, padding), weight)
    found = gradient(lambda places, each: looked_up(places, each, padding), weight)
    assert found.layout == torch.strided
    torch.testing.assert_close(found, plain)
    again = gradient(lambda places, each: looked_up(places, each, padding), weight)
    assert torch.equal(again, found)


def test_the_whole_gradient_is_made_once_in_a_step(monkeypatch):
    made, original = [], tables._Whole.backward
    monkeypatch.setattr(tables._Whole, "backward", staticmethod(lambda *inputs: made.append(1) or original(*inputs)))
    weight = table()
    gradient(looked_up, weight)
    assert len(made) == 1
    gradient(looked_up, weight)
    assert len(made) == 2


def test_gradients_add_up_and_updates_are_seen():
    weight, other = table(), table()
    optimisers = [torch.optim.SGD([each], lr=0.1) for each in (weight, other)]
    for _ in range(3):
        for _ in range(2):  # two backward passes before a step
            looked_up(PASSES[0], weight).square().sum().backward()
            embedding(PASSES[0], other).square().sum().backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
    torch.testing.assert_close(weight, other)


def test_beside_other_uses_and_in_a_checkpoint():
    weight, other = table(), table()
    found = checkpoint(lambda each: looked_up(PASSES[0], each).square(), weight, use_reentrant=False).sum()
    (found + looked_up(PASSES[1], weight).sum() + (weight**2).sum()).backward()
    (embedding(PASSES[0], other).square().sum() + embedding(PASSES[1], other).sum() + (other**2).sum()).backward()
    torch.testing.assert_close(weight.grad, other.grad)


def test_new_memory_is_read():
    weight = table()
    kept = looked_up(PASSES[0], weight)
    weight.data = weight.data * 2
    torch.testing.assert_close(looked_up(PASSES[0], weight), 2 * kept)


def test_nothing_stays_after_a_step():
    weight = table()
    loss = looked_up(PASSES[0], weight).sum()
    assert id(weight) in tables._shared
    loss.backward()
    del loss
    gc.collect()
    assert id(weight) not in tables._shared


def test_what_is_taken_over(monkeypatch):
    weight = table()
    assert can_look_up(weight)
    for other in (weight.detach(), weight * 1, nn.Parameter(weight.double()), nn.Parameter(weight.to("meta"))):
        assert not can_look_up(other)
    monkeypatch.setattr(tables, "_LARGE", 37)
    assert not can_look_up(weight)
    monkeypatch.setattr(tables, "_LARGE", 1)
    with quick_on_processor(nn.Embedding(9, 4)) as _:
        ours = embedding(PASSES[0], weight)
        theirs = [embedding(PASSES[0], weight, sparse=True), embedding(PASSES[0], weight, scale_grad_by_freq=True)]
    assert ours.grad_fn.name() == "_RowsBackward"
    assert {found.grad_fn.name() for found in theirs} == {"EmbeddingBackward0"}
