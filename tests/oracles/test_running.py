"""Running log-mean-exps against their equations, over several steps with what is remembered."""

import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.objectives import Composition, ISogCLR, SogCLR
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.logits.temperature_by_row import TemperatureByRow
from nearfar.objectives.memory import Memory, Table
from nearfar.objectives.objective import Objective
from nearfar.objectives.problem import along_positives
from tests.objectives.relations import diagonal
from tests.oracles.cases import Case, cases
from tests.oracles.slow import running as slow
from tests.oracles.steps import (
    EXAMPLES,
    call,
    check_gradient,
    check_table,
    indexes,
    plain,
    random_scores,
    scored,
    step_of,
    through_cosines,
)


@st.composite
def global_settings(draw):
    """An objective, its oracle, and the settings of both."""
    individual, subtract = draw(st.booleans()), draw(st.booleans())
    gamma = draw(st.sampled_from([0.3, 0.9, 1.0]))
    ours = {"gamma": gamma, "subtract_positive": subtract, "temperature": 0.2}
    yours = {"gamma": gamma, "subtract_positive": subtract}
    if individual:
        limit = draw(st.sampled_from([None, 0.5]))
        ours |= {"beta": 0.8, "limit": limit, "rho": 0.5, "learning_rate": 0.05}
        yours |= {"momentum": 0.8, "momentum_limit": limit, "rho": 0.5, "learning_rate": 0.05}
    return (ISogCLR, slow.isogclr, ours, yours) if individual else (SogCLR, slow.sogclr, ours, yours)


def check_contrastive(objective, path, state, individual):
    """What the objective remembers of one direction is what the oracle does."""
    table = objective.memory[f"{path}criterion"]
    check_table(table, np.log(np.where(state.seen, state.average, 1.0))[:, None], state.seen)
    if individual:
        known = np.stack([state.temperature, state.momentum], axis=1)
        check_table(objective.memory[f"{path}logits_0"], known, state.seen)


@settings(max_examples=20, deadline=None)
@given(case=cases(most=5), seed=st.integers(0, 1000), chosen=global_settings())
def test_unimodal_sogclr_follows_its_equation_step_by_step(case, seed, chosen):
    entry, method, ours, yours = chosen
    objective, state = entry(sides="both", **ours).double(), slow.fresh_contrastive(EXAMPLES, 0.2)
    for number in range(3):
        now, index = step_of(case, seed + number), indexes(case, seed + number)
        similarity, positive, valid = now.stacked()
        both = torch.cat([index, along_positives(index, now.problem.positive, -1)])
        expected = method(similarity, positive, valid, both, state, **yours)
        outcome, found = call(objective, now, index)
        count = max(expected.kept.sum(), 1)
        assert outcome.loss.item() == pytest.approx(expected.losses.sum() / count, abs=1e-9)
        check_gradient(found, through_cosines(now, expected.gradient / count, stacked=True))
        state = expected.state
        check_contrastive(objective, "", state, entry is ISogCLR)


@settings(max_examples=15, deadline=None)
@given(case=cases(most=5), seed=st.integers(0, 1000), chosen=global_settings())
def test_bimodal_sogclr_adds_up_two_directions_with_a_memory_each(case, seed, chosen):
    entry, method, ours, yours = chosen
    objective, states = entry(**ours).double(), [slow.fresh_contrastive(EXAMPLES, 0.2)] * 2
    for number in range(3):
        now, index = step_of(case, seed + number), indexes(case, seed + number)
        back = along_positives(index, now.problem.positive, -1)
        value, slopes, *states = slow.bimodal(method, *now.arrays(), index, back, *states, **yours)
        outcome, found = call(objective, now, index)
        assert outcome.loss.item() == pytest.approx(value, abs=1e-9)
        check_gradient(found, through_cosines(now, slopes))
        for path, state in zip(("terms_0_", "terms_1_of_"), states, strict=True):
            check_contrastive(objective, path, state, entry is ISogCLR)


@pytest.mark.parametrize("subtract", [True, False])
def test_at_a_first_visit_the_gradient_is_that_of_the_log_mean_exp(subtract):
    scores, temperature = random_scores(3, 5).requires_grad_(), 0.3
    off = ~torch.eye(3, 5, dtype=torch.bool)
    heights = (scores - scores.diagonal()[:, None])[off].reshape(3, 4)
    full = temperature * (torch.logsumexp(heights / temperature, dim=1) - math.log(4))
    expected = torch.autograd.grad(full.sum(), scores)[0]
    for gamma in (0.4, 1.0):
        objective = plain((Temperature(temperature=temperature),), gamma, subtract)
        found = scored(objective, scores.detach(), diagonal(3, 5), index=torch.arange(3))[1]
        torch.testing.assert_close(found, expected)
    again = plain((Temperature(temperature=temperature),), 1.0, subtract)
    scored(again, random_scores(3, 5, 1), diagonal(3, 5), index=torch.arange(3))
    torch.testing.assert_close(scored(again, scores.detach(), diagonal(3, 5), index=torch.arange(3))[1], expected)


@pytest.mark.parametrize("subtract", [True, False])
def test_the_estimate_is_the_log_mean_exp_and_the_loss_is_not(subtract):
    scores, temperature = random_scores(3, 5), torch.tensor(0.3, dtype=torch.float64)
    off = ~torch.eye(3, 5, dtype=torch.bool)
    heights = (scores - scores.diagonal()[:, None])[off].reshape(3, 4)
    full = temperature * (torch.logsumexp(heights / temperature, dim=1) - math.log(4))
    form = plain((Temperature(temperature=0.3),), subtract=subtract).form
    problem = Case(scores, torch.eye(5, dtype=torch.float64), diagonal(3, 5)).problem
    problem = replace(problem, logits=scores / temperature, temperature=temperature, index=torch.arange(3))
    outcome = form.criterion.outcome(problem, Memory({"criterion": Table(0.0)}, "criterion"))
    torch.testing.assert_close(outcome.estimates, full)
    assert not torch.allclose(outcome.losses, full, atol=1e-3)


def test_the_gradient_of_a_row_adds_up_to_zero_only_where_the_positive_is_subtracted():
    index = torch.arange(3)
    for subtract in (True, False):
        objective = plain((Temperature(temperature=0.2),), 0.5, subtract)
        scored(objective, random_scores(3, 6, 1), diagonal(3, 6), index=index)
        found = scored(objective, random_scores(3, 6, 2), diagonal(3, 6), index=index)[1]
        sums = found.sum(dim=1)
        assert bool((sums.abs() < 1e-12).all()) == subtract
        if not subtract:
            torch.testing.assert_close(found.diagonal(), -torch.ones(3, dtype=torch.float64))


def test_the_temperature_follows_the_slope_of_the_robust_loss():
    scores, known = random_scores(4, 7), diagonal(4, 7)
    rule = TemperatureByRow(initial=0.3, rho=0.4, learning_rate=0.01, beta=1.0)
    objective = plain((rule,)).double()
    scored(objective, scores, known, index=torch.arange(4))
    moved = objective.memory["logits_0"].values[:4, 0]
    temperature = torch.full((4,), 0.3, dtype=torch.float64, requires_grad=True)
    off = ~torch.eye(4, 7, dtype=torch.bool)
    heights = (scores - scores.diagonal()[:, None])[off].reshape(4, 6)
    full = temperature * (torch.logsumexp(heights / temperature[:, None], dim=1) - math.log(6) + 0.4)
    slope = torch.autograd.grad(full.sum(), temperature)[0]
    torch.testing.assert_close(moved, 0.3 - 0.01 * slope)


def test_at_equal_temperatures_isogclr_is_sogclr():
    case = step_of(Case(torch.empty(4, 4), torch.empty(6, 4), diagonal(4, 6)), 0)
    one, other = SogCLR(temperature=0.2), ISogCLR(temperature=0.2, learning_rate=0.0)
    for number in range(3):
        now = step_of(case, number)
        torch.testing.assert_close(*(each(*now.vectors, now.known, index=torch.arange(4)) for each in (one, other)))


def test_temperatures_stay_within_their_bounds():
    objective = ISogCLR(temperature=0.1, learning_rate=10.0)
    for number in range(4):
        now = step_of(Case(torch.empty(4, 4), torch.empty(4, 4), diagonal(4)), number)
        objective(*now.vectors, now.known, index=torch.arange(4))
    values = objective.memory["terms_0_logits_0"].values[:4, 0]
    assert ((values == 0.05) | (values == 0.7)).any()
    assert ((values >= 0.05) & (values <= 0.7)).all()


def test_a_temperature_by_row_needs_a_criterion_that_has_a_slope_in_it():
    objective = Objective(Composition(criterion=Softmax(), logits=(TemperatureByRow(),)))
    case = step_of(Case(torch.empty(2, 4), torch.empty(2, 4), diagonal(2)), 0)
    with pytest.raises(ConfigError, match=r"TemperatureByRow: the criterion must be RunningMean"):
        objective(*case.vectors, case.known, index=torch.arange(2))


def test_no_temperature_is_too_low_in_single_precision():
    objective = SogCLR(temperature=0.005, gamma=0.5, sides="both")
    for number in range(3):
        now = step_of(Case(torch.empty(6, 3), torch.empty(6, 3), diagonal(6)), number)
        sides = [side.float().requires_grad_() for side in now.vectors]
        loss = objective(*sides, now.known, index=torch.arange(6))
        loss.backward()
        exact = deepcopy(objective)
        assert torch.isfinite(loss)
        assert all(torch.isfinite(side.grad).all() for side in sides)
    assert torch.isfinite(exact.memory["criterion"].values).all()


def test_the_first_version_of_libaucs_code_keeps_another_mean():
    """LibAUC's first version remembers the mean of ``exp(s / t)``: the same at first, not when a positive moves."""
    index = torch.arange(3)
    pair = [plain((Temperature(temperature=0.2),), 0.5, subtract) for subtract in (True, False)]
    first = [scored(each, random_scores(3, 5, 1), diagonal(3, 5), index=index)[1] for each in pair]
    second = [scored(each, random_scores(3, 5, 2), diagonal(3, 5), index=index)[1] for each in pair]
    torch.testing.assert_close(*first)
    assert (second[0] - second[1]).abs().max() > 1e-2


def test_weights_add_up_to_one_where_libaucs_second_version_adds_up_to_the_number_of_negatives():
    objective = plain((Temperature(temperature=0.2),))
    found = scored(objective, random_scores(3, 9), diagonal(3, 9), index=torch.arange(3))[1]
    torch.testing.assert_close(found.clamp(min=0).sum(dim=1), torch.ones(3, dtype=torch.float64))
