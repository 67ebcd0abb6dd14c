"""Passes that are run again in the backward pass: gradients, random states, and a graph that does not grow."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import dropout

from nearfar.encoders import tables
from nearfar.encoders.processor import quick_on_processor
from nearfar.engine.again import embed_again
from nearfar.engine.microbatch import MicroBatch
from tests.encoders.models import TINY

CPU = torch.device("cpu")
INPUTS = [torch.tensor([[1, 2], [2, 0]]), torch.tensor([[3, 3]]), torch.tensor([[0, 1], [4, 4], [2, 2]])]
SLOPE = torch.linspace(-1, 1, 18).view(6, 3)


class Model(nn.Module):
    """A table, a matrix, a bias that only long passes use, and a weight that nobody uses."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(5, 4, generator=generator))
        self.matrix = nn.Parameter(torch.randn(4, 3, generator=generator))
        self.bias = nn.Parameter(torch.zeros(3))
        self.unused = nn.Parameter(torch.zeros(2))

    def forward(self, places):
        with quick_on_processor(self):
            vectors = dropout(nn.functional.embedding(places, self.table).mean(dim=1), 0.5) @ self.matrix
        return torch.tanh(vectors + self.bias if len(places) > 1 else vectors)


def micro_batches(inputs):
    return [MicroBatch(np.arange(len(places)), {"places": places}) for places in inputs]


def run_of(model):
    return lambda batch: model(batch.features["places"])


def differentiated(vectors, model):
    """Vectors, gradients by name, and the random state after the backward pass."""
    model.zero_grad()
    vectors.backward(SLOPE[: len(vectors)])
    return vectors.detach(), {name: each.grad for name, each in model.named_parameters()}, torch.get_rng_state()


def plain(model, inputs=INPUTS):
    return differentiated(torch.cat([model(places) for places in inputs]), model)


def again(model, inputs=INPUTS, run=None):
    weights = [each for each in model.parameters() if each.requires_grad]
    return differentiated(embed_again(run or run_of(model), micro_batches(inputs), weights, CPU), model)


def assert_equal(found, expected):
    assert torch.equal(found[0], expected[0])
    assert found[1].keys() == expected[1].keys()
    for name, slope in expected[1].items():
        assert (found[1][name] is None) == (slope is None), name
        assert slope is None or torch.equal(found[1][name], slope), name
    assert torch.equal(found[2], expected[2])


@pytest.mark.parametrize("large", [1, 10**9])
def test_gradients_are_those_of_activations_that_were_kept(monkeypatch, large):
    monkeypatch.setattr(tables, "_LARGE", large)
    model = Model()
    torch.manual_seed(5)
    expected = plain(model)
    assert expected[1]["unused"] is None
    torch.manual_seed(5)
    assert_equal(again(model), expected)


def test_behind_passes_that_are_kept_the_table_is_still_made_once(monkeypatch):
    monkeypatch.setattr(tables, "_LARGE", 20)  # that of the table, and more than the matrix has
    made, original = [], tables._Whole.backward
    monkeypatch.setattr(tables._Whole, "backward", staticmethod(lambda *inputs: made.append(1) or original(*inputs)))
    model = Model()
    torch.manual_seed(5)
    expected = plain(model)
    torch.manual_seed(5)
    first = model(INPUTS[0])
    rest = embed_again(run_of(model), micro_batches(INPUTS[1:]), list(model.parameters()), CPU)
    assert_equal(differentiated(torch.cat([first, rest]), model), expected)
    assert len(made) == 2  # one for each of the two steps


def test_a_table_that_is_used_in_two_ways_has_both_gradients(monkeypatch):
    monkeypatch.setattr(tables, "_LARGE", 1)
    model = Model()

    def run(batch):
        vectors = run_of(model)(batch)
        return vectors + model.table.square().mean() if len(vectors) > 1 else vectors

    torch.manual_seed(5)
    expected = differentiated(torch.cat([run(batch) for batch in micro_batches(INPUTS)]), model)
    torch.manual_seed(5)
    found = again(model, run=run)
    for name in ("table", "matrix", "bias"):
        torch.testing.assert_close(found[1][name], expected[1][name])


def test_a_graph_may_be_differentiated_twice():
    model = Model()
    vectors = embed_again(run_of(model), micro_batches(INPUTS), list(model.parameters()), CPU)
    vectors.backward(SLOPE, retain_graph=True)
    once = model.table.grad.clone()
    vectors.backward(SLOPE)
    assert torch.equal(model.table.grad, 2 * once)


def test_weights_that_are_frozen_and_passes_without_gradient():
    model = Model().requires_grad_(False)
    model.bias.requires_grad_(True)
    torch.manual_seed(5)
    expected = plain(model)
    torch.manual_seed(5)
    assert_equal(again(model), expected)  # the second pass uses nothing that is trained


def test_one_gradient_of_two_weights_is_added_up_apart():
    one, two = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))

    def run(batch):
        return (one + two).expand(len(batch.places), 3) if len(batch.places) > 1 else one[None].clone()

    embed_again(run, micro_batches(INPUTS), [one, two], CPU).sum().backward()
    assert one.grad.tolist() == [6.0] * 3
    assert two.grad.tolist() == [5.0] * 3


def test_the_random_state_is_put_back_after_an_error():
    model, calls = Model(), []

    def run(batch):
        calls.append(1)
        if len(calls) > len(INPUTS) + 1:
            raise ValueError("broken")
        return run_of(model)(batch)

    vectors = embed_again(run, micro_batches(INPUTS), list(model.parameters()), CPU)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="broken"):
        vectors.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)


def test_passes_run_in_reverse():
    model, sizes = Model(), []

    def run(batch):
        sizes.append(len(batch.places))
        return run_of(model)(batch)

    again(model, run=run)
    assert sizes == [2, 1, 3, 3, 1, 2]


def test_the_graph_does_not_grow_with_the_passes():
    def nodes(count):
        model = Model()
        found = embed_again(run_of(model), micro_batches(INPUTS[:1] * count), list(model.parameters()), CPU).grad_fn
        seen, open_ = {found}, [found]
        while open_:
            new = [after for after, _ in open_.pop().next_functions if after is not None and after not in seen]
            seen.update(new)
            open_ += new
        return len(seen)

    assert nodes(1) == nodes(50) == 5  # the passes, and four weights


PEAKS = """
import resource
import numpy as np
import torch
from nearfar.encoders.load import load
from nearfar.engine import embed
from nearfar.engine.budget import Budget
from nearfar.engine.microbatch import MicroBatch

torch.set_num_threads(1)
encoder = load({model!r}, device="cpu").train()
tokens = torch.arange(64).repeat(16, 1)
features = {{"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "task": "query"}}
for passes in (20, 80):
    batches = [MicroBatch(np.arange(16) + 16 * place, features, 1024) for place in range(passes)]
    embed(encoder, batches, "float32", torch.device("cpu"), Budget(tokens=1024)).square().sum().backward()
    encoder.zero_grad()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_passes():
    """With ``torch.utils.checkpoint`` for each pass, 80 passes took a third more than 20; here, half a percent."""
    told = subprocess.run([sys.executable, "-c", PEAKS.format(model=TINY)], capture_output=True, text=True, check=True)
    few, many = map(int, told.stdout.split())
    assert many < 1.1 * few
