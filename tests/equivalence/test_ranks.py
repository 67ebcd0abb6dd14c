"""A step on several ranks is the step of one: loss and every gradient, for every objective of the catalogue.

Each rank embeds its share of the texts, of which there are more than can be shared out evenly; the wrapper is the one
that training has. After two steps, what objectives remember is the same as well.
"""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nearfar.encoders.module import ModuleEncoder
from nearfar.engine.budget import Budget
from nearfar.engine.ranks import Ranks
from nearfar.engine.step import Step, prepare_step
from nearfar.objectives import parse
from nearfar.types import Batch, Origin
from tests.conformance.inputs import DIM, ENTRIES, USUAL, companions
from tests.gloo import run_ranks
from tests.objectives.relations import relation

LETTERS = "abcdefghijkl"

ANCHORS = ["abca", "bd", "dddde", "fghijkl"]
USUAL_CANDIDATES = ["abb", "b", "cdefghcdefgh", "bd", "jk", "lkjihgf"]
"""Those of the usual relation: several positives, grades, judged and hard negatives; one text is on both sides."""

PAIRS = relation(
    [[1, None, None], [None, 1, None], [None, None, 1]],
    anchor_ids=[1, 2, 3],
    candidate_ids=[4, 2, 6],
)
"""Pairs, of which one is of equal texts, so that the ranks have five texts between them."""

RAGGED = relation(
    [
        [1, None, None, 0, 0, None, None],
        [None, 1, None, None, None, None, None],
        [None, 1, 1, None, None, 0, None],
        [1, None, None, None, None, None, 0],
        [None, None, 1, None, None, None, None],
    ],
    origins=[Origin.IN_BATCH] * 3 + [Origin.HARD] * 4,
)
"""From no to two hard negatives, and two positives for one."""

BATCHES = {
    "usual": Batch(ANCHORS, USUAL_CANDIDATES, USUAL),
    "pairs": Batch(["ab", "cc", "defghijkl"], ["abc", "cc", "d"], PAIRS),
    "ragged": Batch(["a", "bb", "ccd", "dabcl", "eee"], ["f", "gh", "hij", "jkla", "kk", "lab", "bcdefg"], RAGGED),
}


class Tower(nn.Module):
    """The mean of letters and a layer; with a weight that nobody uses, as the pooler of a transformer."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.letters = nn.Parameter(torch.randn(len(LETTERS), 5, generator=generator))
        self.weight = nn.Parameter(torch.randn(5, DIM, generator=generator))
        self.unused = nn.Parameter(torch.zeros(2))

    def forward(self, features):
        return torch.tanh(features["counts"] @ self.letters) @ self.weight


def tokenise(texts, role):
    return {"counts": torch.tensor([[text.count(letter) / len(text) for letter in LETTERS] for text in texts])}


def steps(text, name, scores, budget):
    """Loss and gradients of a step, and everything that is remembered after a second one."""
    encoder, objective = ModuleEncoder(Tower(), tokenise), parse(text).prepare(DIM)
    step = Step(encoder, objective, budget=Budget(tokens=budget), scores=scores).train()
    joined, ranks = distributed.is_initialized(), Ranks.current()
    trained = DistributedDataParallel(step, find_unused_parameters=True, broadcast_buffers=False) if joined else step
    losses, gradients = [], {}
    for _ in range(2):
        prepared = prepare_step(encoder, BATCHES[name], 40, step.budget, ranks, apart=step.apart)
        inputs = companions(objective, BATCHES[name].relation)
        loss = trained(replace(prepared, inputs=inputs))
        losses.append(loss.item())
        step.zero_grad()
        if loss.requires_grad:
            loss.backward()
        gradients = {name: None if each.grad is None else each.grad.clone() for name, each in step.named_parameters()}
    return losses, gradients, {name: buffer.clone() for name, buffer in objective.named_buffers()}


def every(texts, name, scores, budget):
    """What ``steps`` gives, or the kind of error, for each of several objectives."""
    found = {}
    for text in texts:
        try:
            found[text] = steps(text, name, scores, budget)
        except Exception as error:
            found[text] = f"{type(error).__name__}: {error}"
    return found


TEXTS = tuple(str(entry()) for entry in ENTRIES.values())
WHOLE, TILED = 10**6, 1
PLAIN, CACHED = 10**6, 16


@cache
def alone(name, scores, budget):
    return every(TEXTS, name, scores, budget)


@cache
def several(world, name, scores, budget):
    return run_ranks(world, every, TEXTS, name, scores, budget)


def assert_same(found, expected, text):
    losses, gradients, buffers = found
    expected_losses, expected_gradients, expected_buffers = expected
    torch.testing.assert_close(losses, expected_losses, rtol=1e-5, atol=1e-6)
    for name, gradient in expected_gradients.items():
        assert (gradients[name] is None) == (gradient is None), f"{text}: {name}"
        if gradient is not None:
            message = f"{text}: the gradient of {name} is {gradients[name]}, expected {gradient}"
            torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=2e-5, msg=message)
    for name, buffer in expected_buffers.items():
        torch.testing.assert_close(buffers[name], buffer, rtol=1e-5, atol=1e-5, equal_nan=True, msg=f"{text}: {name}")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("world", "name", "scores", "budget"),
    [
        (2, "usual", WHOLE, PLAIN),
        (3, "usual", WHOLE, PLAIN),
        (2, "pairs", WHOLE, PLAIN),
        (3, "ragged", WHOLE, CACHED),
        (2, "usual", TILED, PLAIN),
        (3, "ragged", TILED, CACHED),
    ],
)
def test_ranks_are_one(world, name, scores, budget, text):
    expected = alone(name, WHOLE, PLAIN)[text]
    found = several(world, name, scores, budget)
    for rank in range(world):
        if isinstance(expected, str):  # what one process refuses, such as a batch without what is compared
            assert found[rank][text] == expected
        else:
            assert not isinstance(found[rank][text], str), found[rank][text]
            assert_same(found[rank][text], expected, text)


def test_most_objectives_have_a_gradient_here():
    """So that the tests above compare something."""
    having = sum(
        not isinstance(found, str) and any(each is not None and each.any() for each in found[1].values())
        for found in alone("usual", WHOLE, PLAIN).values()
    )
    assert having >= 0.9 * len(TEXTS)
