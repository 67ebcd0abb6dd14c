"""Compiled blocks: the same numbers, the same names, and a clear word where nothing can be compiled."""

import copy

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor
from torch.utils.checkpoint import checkpoint

from nearfar.encoders.compiled import blocks, check_compiler, compile_blocks
from nearfar.encoders.load import load
from nearfar.encoders.module import ModuleEncoder
from nearfar.errors import ConfigError, ResourceError
from tests.encoders.models import MINILM, STATIC, opened

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compilers underneath


class Block(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.linear, self.dropout = nn.Linear(8, 8), nn.Dropout(dropout)

    def forward(self, vectors):
        return vectors + self.dropout(torch.tanh(self.linear(vectors)))


class Blocks(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.layers = nn.ModuleList([Block(dropout) for _ in range(2)])

    def forward(self, features):
        vectors = features["vectors"]
        for layer in self.layers:
            vectors = layer(vectors)
        return vectors


def encoder(dropout=0.0):
    torch.manual_seed(0)
    return ModuleEncoder(Blocks(dropout), lambda texts, role: {})


def step(module, size, seed=0, how=lambda module, inputs: module(inputs)):
    """Loss and gradients for some vectors, the randomness of dropout from a seed."""
    generator = torch.Generator().manual_seed(size)
    torch.manual_seed(seed)
    module.zero_grad()
    loss = how(module, {"vectors": torch.randn(size, 8, generator=generator)}).square().sum()
    loss.backward()
    return [loss.detach(), *(each.grad.clone() for each in module.parameters())]


@pytest.fixture(scope="module")
def compiled():
    """An encoder of blocks with dropout, compiled once, and what takes that back."""
    made = encoder(dropout=0.5)
    return made, compile_blocks(made)


@pytest.mark.slow
def test_the_same_loss_and_gradients_at_every_length():
    plain, other = encoder(), encoder()
    take_back = compile_blocks(other)
    for size in (5, 9, 2, 30):
        for one, two in zip(step(plain, size), step(other, size), strict=True):
            torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    take_back()
    assert all(torch.equal(one, two) for one, two in zip(step(plain, 7), step(other, 7), strict=True))


@pytest.mark.slow
def test_names_and_copies_are_as_without(compiled):
    made, _ = compiled
    assert made.state_dict().keys() == encoder().state_dict().keys()
    twin = copy.deepcopy(made)
    with torch.no_grad():
        next(iter(twin.parameters())).fill_(3.0)
    assert not torch.equal(step(twin, 4)[0], step(made, 4)[0])  # it computes with weights of its own


@pytest.mark.slow
def test_a_pass_that_is_repeated_draws_the_same(compiled):
    made, _ = compiled

    def again(module, inputs):
        return checkpoint(module, inputs, use_reentrant=False)

    for size in (4, 11):
        plain, repeated = step(made, size), step(made, size, how=again)
        assert all(torch.equal(one, two) for one, two in zip(plain, repeated, strict=True))
    assert not torch.equal(step(made, 4, seed=1)[0], step(made, 4, seed=2)[0])


@pytest.mark.slow
def test_without_gradients_nothing_is_compiled(compiled):
    made, _ = compiled
    plain = encoder(dropout=0.5)
    inputs = {"vectors": torch.randn(6, 8)}
    for each in (made, plain):
        each.eval()
    with torch.inference_mode():
        assert torch.equal(made(inputs), plain(inputs))
    made.train()


def test_blocks_are_the_layers():
    assert [type(block).__name__ for block in blocks(opened(MINILM))] == ["BertLayer"] * 6
    own = ModuleEncoder(nn.Sequential(nn.Linear(2, 2)), lambda texts, role: {})
    assert blocks(own) == [own.module]
    assert blocks(load(STATIC, device="cpu")) == []


def test_a_static_encoder_has_nothing_to_compile():
    with pytest.raises(ConfigError, match=r"training\.compile: this encoder has no layers to compile"):
        check_compiler(opened(STATIC))


def test_a_machine_without_a_compiler():
    torch._dynamo.reset()
    options = {"cpp.cxx": ("/nowhere/g++",), "force_disable_caches": True}
    with inductor.patch(options), pytest.raises(ResourceError, match=r"training\.compile: .* needs a C\+\+ compiler"):
        check_compiler(encoder())
    torch._dynamo.reset()


@pytest.mark.slow
def test_a_machine_with_one():
    check_compiler(encoder())
