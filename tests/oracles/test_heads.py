"""Heads, and temperatures of pairs, against their equations."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.objectives import (
    Composition,
    MultiHead,
    NTXent,
    Objective,
    parse,
)
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.heads import Head, LinearHead, Projected
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.logits.temperature_by_pair import TemperatureByPair
from nearfar.objectives.pair_network import PairNetwork
from nearfar.objectives.weights.temperature_penalty import TemperaturePenalty
from tests.objectives.relations import diagonal
from tests.oracles.cases import cases, check_gradients
from tests.oracles.slow import softmax_extended
from tests.oracles.steps import random_vectors


def heads_of(objective, sides):
    """The unit vectors of both sides behind each head, and the temperatures of all pairs."""
    found = []
    for place in range(3):
        memory = objective.memory
        matrix = memory[f"terms_{place}_head"].matrix.detach().double()
        texts = normalize(torch.cat([side @ matrix for side in sides]), dim=1)
        network = deepcopy(memory[f"terms_{place}_of_logits_0"]).double()
        share = torch.sigmoid(network(texts, texts)).detach()
        found.append((texts.numpy(), (1e-5 + (2 - 1e-5) * share).numpy()))
    return found


@settings(max_examples=20, deadline=None)
@given(case=cases(most=5), seed=st.integers(0, 100), beta=st.sampled_from([0.0, 0.1, 0.5]))
def test_multi_head_follows_its_equation(case, seed, beta):
    objective = MultiHead(beta=beta, seed=seed).prepare(4)
    found = heads_of(objective, case.vectors)
    _, positive, valid = case.stacked()
    losses, kept = softmax_extended.multi_head(
        np.stack([texts @ texts.T for texts, _ in found]),
        positive,
        valid,
        np.stack([temperatures for _, temperatures in found]),
        dim=4,
        beta=beta,
    )
    value = deepcopy(objective).double()(*case.vectors, case.known).item()
    assert value == pytest.approx(losses[kept].mean() if kept.any() else 0.0, abs=1e-9)


@settings(max_examples=4, deadline=None)
@given(case=cases(most=3, dim=3))
def test_the_gradient_of_multi_head_is_that_of_its_value(case):
    check_gradients(MultiHead(heads=2, hidden=3).prepare(3), case)


def test_heads_and_networks_differ_and_all_of_them_are_trained():
    objective = MultiHead().prepare(4)
    objective(*random_vectors((5, 5), 0), diagonal(5)).backward()
    matrices = [objective.memory[f"terms_{place}_head"].matrix for place in range(3)]
    assert len({matrix[0, 0].item() for matrix in matrices}) == 3
    assert all((each.grad != 0).any() for each in objective.parameters())


def test_one_head_of_the_identity_with_a_constant_temperature_is_nt_xent():
    form = Projected(of=NTXent(temperature=0.3).form, head=LinearHead(seed=1))
    objective = Objective(form).prepare(4)
    with torch.no_grad():
        objective.memory["head"].matrix.copy_(torch.eye(4))
    sides = random_vectors((5, 5), 0)
    torch.testing.assert_close(objective(*sides, diagonal(5)), NTXent(temperature=0.3)(*sides, diagonal(5)))


def test_the_penalty_is_the_rest_of_a_gaussian_likelihood():
    sides, known, weight = random_vectors((3, 5), 0), diagonal(3, 5), 0.3
    parts = {"criterion": Softmax(), "logits": (Temperature(temperature=0.4),)}
    plain = Objective(Composition(**parts)).rows(*sides, known)
    with_penalty = Objective(Composition(**parts, weights=(TemperaturePenalty(weight=weight),))).rows(*sides, known)
    expected = weight * (4 / 2 * math.log(0.4) + 1 / 0.4)
    torch.testing.assert_close(with_penalty - plain, torch.full((3,), expected, dtype=torch.float64))


def test_temperatures_of_pairs_start_about_where_they_should_and_stay_between_the_bounds():
    part = TemperatureByPair(initial=0.1, minimum=0.05, maximum=1.0)
    objective = Objective(Composition(criterion=Softmax(), logits=(part,))).prepare(4)
    (seen,) = objective.outcome(*random_vectors((30, 30), 0), diagonal(30)).problems
    assert 0.05 < seen.temperature.min() < seen.temperature.max() < 1.0
    assert seen.temperature.median().item() == pytest.approx(0.1, abs=0.05)


def test_a_head_keeps_lengths_on_average():
    vectors = normalize(random_vectors((200,), 0, 64)[0], dim=1)
    assert Head(64, 0)(vectors).square().sum(dim=1).mean().item() == pytest.approx(1.0, abs=0.2)


def test_a_pair_network_does_not_care_for_the_order_of_a_pair():
    (texts,) = random_vectors((5,), 0)
    found = PairNetwork(4, 8, 0)(texts, texts)
    torch.testing.assert_close(found, found.T)


def test_a_head_in_words():
    text = "Projected(of=InfoNCE(temperature=0.1), head=LinearHead(seed=3))"
    assert parse(str(parse(text))) == parse(text)
