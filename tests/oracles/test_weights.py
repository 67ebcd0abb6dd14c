"""Weights with memory, learned weights, temperatures by pair and heads against their equations."""

import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.objectives import (
    BadPair,
    ClusterWeight,
    Composition,
    InfoNCE,
    LearnedWeight,
    NTXent,
    Objective,
    Propensity,
)
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.weights.clusters import k_means
from nearfar.objectives.weights.history import History, LossHistory
from nearfar.objectives.weights.propensity import InversePropensity
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import cases, check_gradients, check_rows
from tests.oracles.slow import running as slow
from tests.oracles.slow.softmax import master_row
from tests.oracles.steps import random_vectors


def cosines(*sides):
    left, right = (normalize(side, dim=1).numpy() for side in sides)
    return left @ right.T


# BadPair


def both_views(anchors, candidates):
    """The cosines of two views among themselves, the positives, and the valid pairs."""
    size, texts = len(anchors), torch.cat([anchors, candidates])
    places = np.arange(2 * size)
    positive = places[None, :] == (places[:, None] + size) % (2 * size)
    return cosines(texts, texts), positive, ~np.eye(2 * size, dtype=bool)


@pytest.mark.parametrize("density", [False, True])
@pytest.mark.parametrize("visits", [None, 6])
def test_bad_pair_follows_its_equation_pass_by_pass(density, visits):
    objective = BadPair(noisy=0.7, faulty=0.8, warm_up=2, density=density, visits=visits).double()
    history, flags, flagged = np.zeros((8, 0)), None, 0
    for number in range(6):
        if number >= 2:
            flags = slow.bad_pairs(history, noisy=0.7, faulty=0.8, visits=visits)
        order = torch.randperm(8, generator=torch.Generator().manual_seed(number))
        for half, index in enumerate(order.split(4)):
            sides = random_vectors((4, 4), 10 * number + half)
            sides[1] = sides[1] + 2.0 * (index[:, None] < 2) * sides[0]  # some pairs are easy in every pass
            losses, kept = master_row(*both_views(*sides), temperature=0.2)
            twice = np.concatenate([index.numpy(), index.numpy()])
            weights, history = slow.bad_pair_weights(losses, kept, twice, history, flags, density=density)
            found = objective(*sides, diagonal(4), index=index)
            assert found.item() == pytest.approx((weights * losses)[kept].mean(), abs=1e-10)
            flagged += (weights != 1).sum()
    assert flagged > 8


def test_bad_pair_is_nt_xent_while_it_warms_up():
    objective, plain = BadPair(warm_up=3), NTXent(temperature=0.2)
    for number in range(3):
        sides = random_vectors((4, 4), number)
        torch.testing.assert_close(objective(*sides, diagonal(4), index=torch.arange(4)), plain(*sides, diagonal(4)))


def flagged_history(mean, spread, loss, **settings):
    """The weight of a flagged row of that loss."""
    weight, history = LossHistory(warm_up=1, **settings), History().double()
    history.values = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    history.visits = torch.ones(2, dtype=torch.int64)
    history.center, history.spread = (torch.tensor(each, dtype=torch.float64) for each in (mean, spread))
    history.passes.fill_(1)
    case = InfoNCE().outcome(*random_vectors((2, 2), 0), diagonal(2))
    outcome = replace(case, losses=torch.tensor([loss, loss], dtype=torch.float64))
    problem = replace(case.problems[0], index=torch.arange(2))
    memory = Memory({"at": history.eval()}, "at")
    return (weight.reweigh(outcome, problem, memory).losses / loss).tolist()


def test_two_deviations_from_the_mean_weigh_the_square_of_one_over_e():
    assert flagged_history(1.0, 0.5, 2.0) == pytest.approx([math.exp(-2), 1.0])
    assert math.exp(-2) == pytest.approx(0.1353, abs=5e-5)


def test_the_authors_density_exceeds_one_where_the_deviation_is_small():
    assert flagged_history(1.0, 0.1, 1.0, density=True)[0] == pytest.approx(3.989, abs=5e-4)
    assert flagged_history(1.0, 0.1, 1.0)[0] == 1.0


def test_equal_losses_flag_nobody():
    objective = BadPair(noisy=0.0, faulty=0.0, warm_up=1)
    sides, plain = random_vectors((3, 3), 0), NTXent(temperature=0.2)
    sides = [side[:1].expand(3, -1) for side in sides]
    for _ in range(3):
        torch.testing.assert_close(objective(*sides, diagonal(3), index=torch.arange(3)), plain(*sides, diagonal(3)))


def test_other_places_in_the_dataset_flag_the_same_pairs():
    one, other = (BadPair(noisy=0.5, faulty=0.5, warm_up=1) for _ in range(2))
    order = torch.tensor([5, 2, 7, 0])
    for number in range(4):
        sides = random_vectors((4, 4), number)
        first, second = (each(*sides, diagonal(4), index=at) for each, at in ((one, torch.arange(4)), (other, order)))
        torch.testing.assert_close(first, second)
    flags = one.memory["weights_0"].values[:4, 1]
    assert flags.any()
    assert torch.equal(flags, other.memory["weights_0"].values[order, 1])


@settings(max_examples=6, deadline=None)
@given(case=cases(most=3, dim=3))
def test_the_weight_of_a_bad_pair_carries_no_gradient(case):
    """Rows of InfoNCE, so that rows are anchors: the gradient is that of the rows with their weights held fixed."""
    form = Composition(
        criterion=Softmax(),
        logits=(Temperature(temperature=0.3),),
        weights=(LossHistory(noisy=0.1, faulty=0.1, warm_up=1),),
    )
    objective, index = Objective(form).double(), torch.arange(len(case.anchors))
    objective(*random_vectors(case.known.shape, 1, 3), case.known, index=index)
    objective(*random_vectors(case.known.shape, 2, 3), case.known, index=index)
    sides = [side.clone().requires_grad_() for side in case.vectors]
    outcome = objective.eval().outcome(*sides, case.known, index=index)
    plain = InfoNCE(temperature=0.3).outcome(*sides, case.known)
    weights = torch.where(plain.losses != 0, outcome.losses / plain.losses, 1.0).detach()
    assert (weights <= 1 + 1e-12).all()
    expected = torch.autograd.grad((weights * plain.losses).sum(), sides, retain_graph=True)
    found = torch.autograd.grad(outcome.losses.sum(), sides)
    torch.testing.assert_close(found, expected)


# ClusterWeight and LearnedWeight


@settings(max_examples=30, deadline=None)
@given(
    case=cases(),
    seed=st.integers(0, 100),
    normalised=st.booleans(),
    guided=st.booleans(),
    clusters=st.sampled_from([1, 2, 3]),
)
def test_cluster_weight_follows_its_equation(case, seed, normalised, guided, clusters):
    objective = ClusterWeight(temperature=0.3, clusters=clusters, runs=4, steps=3, normalised=normalised, seed=seed)
    guides = random_vectors(case.known.shape, seed)
    texts = normalize(torch.cat(guides if guided else list(case.vectors)), dim=1)
    found = k_means(texts, clusters, 4, 3, Draws(seed).generator()).numpy()
    similarity, positive, valid = case.arrays()
    rows = len(positive)
    logs = slow.cluster_weight(found[:, :rows], found[:, rows:], positive, valid, normalise=normalised)
    expected = master_row(similarity, positive, valid, temperature=0.3, negative_bias=logs)
    beside = {"guide_anchors": guides[0], "guide_candidates": guides[1]} if guided else {}
    check_rows(objective, case, expected, **beside)


@settings(max_examples=5, deadline=None)
@given(case=cases(most=3, dim=3))
def test_the_gradient_of_cluster_weight_is_that_of_its_value(case):
    guides = random_vectors(case.known.shape, 0)
    objective = ClusterWeight(temperature=0.5, clusters=2, runs=3, steps=2)
    check_gradients(objective, case, guide_anchors=guides[0], guide_candidates=guides[1])


def test_planted_clusters_are_found_by_every_run_that_begins_in_all_of_them():
    noise = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    found = k_means(
        torch.eye(3).repeat_interleave(20, dim=0) + 0.05 * noise, 3, 12, 10, torch.Generator().manual_seed(1)
    )
    draws = torch.Generator().manual_seed(1)
    begins = [len({int(text) // 20 for text in torch.randperm(60, generator=draws)[:3]}) for _ in range(12)]
    assert begins.count(3) > 1
    for run, begun in zip(found.reshape(12, 3, 20), begins, strict=True):
        pure = all(len(group.unique()) == 1 for group in run)
        assert (pure and len(run.unique()) == 3) or begun < 3


def test_a_step_of_k_means_brings_texts_nearer_to_their_centers():
    texts = torch.cat(random_vectors((20, 20), 0))

    def spread(steps):
        found = k_means(texts, 4, 5, steps, torch.Generator().manual_seed(1))
        total = 0.0
        for run in found:
            total += sum(float((texts[run == c] - texts[run == c].mean(dim=0)).square().sum()) for c in run.unique())
        return total

    spreads = [spread(steps) for steps in (0, 1, 2, 5, 10)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < spreads[0]


def test_weights_of_clusters_are_symmetric_and_texts_are_never_apart_from_themselves():
    texts = torch.cat(random_vectors((6, 6), 0))
    found = k_means(texts, 3, 10, 5, torch.Generator().manual_seed(0)).numpy()
    nobody = np.zeros((12, 12), dtype=bool)
    logs = slow.cluster_weight(found, found, nobody, ~nobody, normalise=False)
    np.testing.assert_array_equal(logs, logs.T)
    assert np.isneginf(np.diag(logs)).all()


@settings(max_examples=30, deadline=None)
@given(case=cases(), seed=st.integers(0, 100), normalised=st.booleans())
def test_learned_weight_follows_its_equation(case, seed, normalised):
    objective = LearnedWeight(temperature=0.3, hidden=5, normalised=normalised, seed=seed).prepare(4)
    network = deepcopy(objective.memory["weights_0"]).double()
    weights = [each.detach().numpy() for each in (network.into, network.bias, network.out, network.offset)]
    similarity, positive, valid = case.arrays()
    vectors = [side.numpy() for side in case.vectors]
    logs = slow.learned_weight(*vectors, positive, valid, *weights, normalise=normalised)
    expected = master_row(similarity, positive, valid, temperature=0.3, negative_bias=logs)
    check_rows(objective, case, expected)


@settings(max_examples=5, deadline=None)
@given(case=cases(most=3, dim=3))
def test_the_gradient_of_learned_weight_is_that_of_its_value(case):
    check_gradients(LearnedWeight(temperature=0.5, hidden=3).prepare(3), case)


@pytest.mark.parametrize("entry", [ClusterWeight, LearnedWeight])
def test_negatives_have_a_mean_weight_of_one(entry):
    sides, known = random_vectors((4, 9), 3), diagonal(4, 9)
    (seen,) = entry(normalised=True).prepare(4).outcome(*sides, known).problems
    weights = torch.where(seen.negative, seen.bias.exp(), 0.0).sum(dim=1)
    torch.testing.assert_close(weights, torch.full((4,), 8.0, dtype=torch.float64))


def test_without_normalisation_a_network_can_take_all_weight_from_the_negatives():
    sides, known = random_vectors((4, 9), 3), diagonal(4, 9)
    losses = []
    for normalised in (False, True):
        objective = LearnedWeight(normalised=normalised).prepare(4)
        with torch.no_grad():
            objective.memory["weights_0"].offset.fill_(-100.0)
        losses.append(objective(*sides, known).item())
    assert losses[0] < 1e-9
    assert losses[1] > 0.1


def test_the_network_of_learned_weight_is_trained():
    objective = LearnedWeight().prepare(4)
    objective(*random_vectors((4, 9), 3), diagonal(4, 9)).backward()
    assert all((each.grad != 0).any() for name, each in objective.named_parameters() if not name.endswith("offset"))


# Propensity


@settings(max_examples=30, deadline=None)
@given(
    case=cases(),
    seed=st.integers(0, 100),
    maximum=st.sampled_from([None, 1.5, 5.0]),
    normalised=st.booleans(),
)
def test_propensity_follows_its_equation(case, seed, maximum, normalised):
    teacher = 3 * torch.randn(case.known.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    similarity, positive, valid = case.arrays()
    limits = None if maximum is None else (1.0, maximum)
    judged = case.problem.judged.numpy()
    weights = slow.propensity(teacher.numpy(), positive, valid, judged, limits=limits, normalise=normalised)
    expected = master_row(similarity, positive, valid, temperature=0.3, row_weight=weights)
    objective = Propensity(temperature=0.3, maximum=maximum, normalised=normalised)
    check_rows(objective, case, expected, teacher=teacher)


@settings(max_examples=5, deadline=None)
@given(case=cases(most=3, dim=3))
def test_the_gradient_of_propensity_is_that_of_its_value(case):
    teacher = torch.linspace(-2, 3, math.prod(case.known.shape), dtype=torch.float64).reshape(case.known.shape)
    check_gradients(Propensity(temperature=0.5), case, teacher=teacher)


def weights_of(weight, teacher, known):
    (seen,) = InfoNCE().outcome(*random_vectors(known.shape, 0), known, teacher=teacher).problems
    return weight.apply(seen, Memory({})).importance


def test_a_logit_of_two_at_a_temperature_of_two_weighs_one_plus_e():
    known, teacher = relation([[1, 0]]), torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    found = weights_of(InversePropensity(maximum=None, normalised=False), teacher, known)
    assert found.item() == pytest.approx(1 + math.e)
    assert 1 + math.e == pytest.approx(3.7183, abs=5e-5)


def test_weights_are_at_least_one_at_most_the_bound_and_have_no_gradient():
    known = relation([[1, 0], [0, 1]])
    teacher = torch.tensor([[0.0, -50.0], [90.0, 0.0]], dtype=torch.float64, requires_grad=True)
    found = weights_of(InversePropensity(normalised=False), teacher, known)
    assert found.tolist() == pytest.approx([1.0, 5.0])
    assert not found.requires_grad
    assert weights_of(InversePropensity(), teacher, known).mean().item() == pytest.approx(1.0)
