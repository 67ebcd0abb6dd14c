"""Matryoshka against the sum written out, and against sentence-transformers."""

import pytest
import torch
from torch import nn

from nearfar.errors import ShapeError
from nearfar.objectives import InfoNCE, Matryoshka, Objective, parse
from tests.conformance.inputs import ENTRIES, USUAL, companions, vectors
from tests.objectives.relations import diagonal
from tests.oracles.libraries import quiet, quietly


class Table(nn.Module):
    """A model of sentence-transformers, as far as a loss looks at it: the embeddings are the features."""

    def forward(self, features):
        return {"sentence_embedding": features["rows"]}

    def get_embedding_dimension(self):
        return 12


@pytest.mark.parametrize("weights", [(), (1, 0.5, 0.2)])
def test_sentence_transformers_computes_the_same_loss_and_gradient(weights):
    with quiet():
        from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss
    model = Table()
    inner = quietly(lambda: MultipleNegativesRankingLoss(model, scale=20.0))
    reference = MatryoshkaLoss(model, inner, [12, 6, 2], list(weights) or None)
    ours, yours = (vectors((5, 10), 4, torch.float64, 12) for _ in range(2))
    loss = Objective(Matryoshka(of=InfoNCE(temperature=0.05), dims=(12, 6, 2), weights=weights))(*ours, diagonal(5, 10))
    expected = reference([{"rows": side} for side in (yours[0], *yours[1].split(5))], torch.arange(5))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    for one, other in zip(ours, yours, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def cut_short(objective, sides, beside, width):
    """The loss on cut vectors; guides are cut too where the objective insists on that."""
    cut = [side[:, :width] for side in sides]
    try:
        return objective(*cut, USUAL, **beside)
    except ShapeError:
        guides = {name: value[:, :width] for name, value in beside.items() if name.startswith("guide")}
        return objective(*cut, USUAL, **(beside | guides))


@pytest.mark.parametrize("name", ENTRIES)
def test_it_is_the_sum_of_objectives_on_cut_vectors_whatever_the_objective(name):
    """Values, gradients and memory over three steps, each width with an objective of its own."""
    whole = parse(f"Matryoshka(of={name}, dims=[6, 4], weights=[1, 0.5])")
    alone = {width: ENTRIES[name]() for width in (6, 4)}
    for number in range(3):
        beside = companions(whole, USUAL, number, torch.float64)
        ours, yours = (vectors(USUAL.shape, number, torch.float64) for _ in range(2))
        loss = whole(*ours, USUAL, **beside)
        expected = sum(weight * cut_short(alone[width], yours, beside, width) for width, weight in ((6, 1.0), (4, 0.5)))
        torch.testing.assert_close(loss, expected)
        assert loss.requires_grad == expected.requires_grad
        if not loss.requires_grad:
            continue
        loss.backward()
        expected.backward()
        for one, other in zip(ours, yours, strict=True):
            assert (one.grad is None) == (other.grad is None)
            if one.grad is not None:
                torch.testing.assert_close(one.grad, other.grad)
