"""Expected cost and running averages against their equations, over several steps with what is remembered."""

import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.errors import ConfigError
from nearfar.objectives import CACR, SOAP, SONG, Composition, ISogCLR, SogCLR
from nearfar.objectives.criteria.running import LogMeanExp, RunningMean
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.logits.temperature_by_row import TemperatureByRow
from nearfar.objectives.memory import Memory, Table
from nearfar.objectives.objective import Objective
from nearfar.objectives.problem import along_positives
from tests.objectives.relations import diagonal, relation, whole
from tests.oracles.cases import Case, cases, check_gradients, check_rows
from tests.oracles.slow import running as slow

EXAMPLES = 8


def step_of(case, number):
    """The same relation with other vectors."""
    generator = torch.Generator().manual_seed(number)
    sides = (torch.randn(side.shape, generator=generator, dtype=torch.float64) for side in case.vectors)
    return Case(*sides, case.known)


def indexes(case, seed):
    """Places in the dataset of the anchors, at times the same for two of them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(EXAMPLES, case.known.shape[:1], generator=generator)


def call(objective, case, index):
    """The outcome of a step, and the gradients of its loss."""
    sides = [side.clone().requires_grad_() for side in case.vectors]
    outcome = objective.outcome(*sides, case.known, index=index)
    return outcome, torch.autograd.grad(outcome.loss, sides, allow_unused=True)


def through_cosines(case, slopes, stacked=False):
    """Gradients of the vectors from those of their cosines."""
    sides = [side.clone().requires_grad_() for side in case.vectors]
    left, right = (normalize(side, dim=1) for side in sides)
    if stacked:
        left = right = torch.cat([left, right])
    return torch.autograd.grad((left @ right.T * torch.from_numpy(slopes)).sum(), sides)


def close(found, expected, **tolerances):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=1e-9, rtol=1e-7, **tolerances)


def check_gradient(found, expected):
    for one, other in zip(found, expected, strict=True):
        close(torch.zeros_like(other) if one is None else one, other)


def check_table(table, values, seen):
    """What the memory says of the examples that were seen."""
    stored, visits = table.read(torch.arange(len(seen)))
    assert ((visits > 0).numpy() == seen).all()
    close(stored.numpy()[seen], values[seen])


# CACR


@settings(max_examples=30, deadline=None)
@given(
    case=cases(),
    positive=st.sampled_from([0.3, 1.0, 20.0]),
    negative=st.sampled_from([0.2, 1 / 0.9]),
    prior=st.sampled_from([0.0, 0.1]),
    detach=st.booleans(),
)
def test_cacr_follows_its_equation(case, positive, negative, prior, detach):
    options = {"positive_temperature": positive, "negative_temperature": negative, "attraction": 0.7, "repulsion": 1.3}
    expected = slow.cacr(*case.arrays(), positive_prior=prior, **options)
    check_rows(CACR(prior=prior, detach=detach, **options), case, expected)


@settings(max_examples=6, deadline=None)
@given(case=cases(most=3, dim=3))
def test_cacr_has_the_gradient_of_its_value(case):
    check_gradients(CACR(positive_temperature=0.5, prior=0.1), case)


@settings(max_examples=6, deadline=None)
@given(case=cases(most=4))
def test_cacr_detached_has_the_gradient_with_the_plan_held_fixed(case):
    similarity, positive, valid = case.arrays()
    plan, width = slow.transport(similarity, positive, valid), 1e-6
    _, kept = slow.cacr(similarity, positive, valid)
    slopes = np.zeros_like(similarity)
    for place in np.ndindex(*similarity.shape):
        moved = [similarity.copy(), similarity.copy()]
        moved[0][place] += width
        moved[1][place] -= width
        high, low = (slow.cacr(each, positive, valid, plan=plan)[0].sum() for each in moved)
        slopes[place] = (high - low) / (2 * width) / max(kept.sum(), 1)
    outcome, found = call(CACR(detach=True).double(), case, None)
    for one, other in zip(found, through_cosines(case, slopes), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
    assert outcome.kept.tolist() == kept.tolist()


def test_cacr_of_two_views_is_the_papers_own_form():
    case = step_of(Case(torch.empty(5, 4), torch.empty(5, 4), diagonal(5)), 0)
    views = np.stack([normalize(side, dim=1).numpy() for side in case.vectors])
    expected = slow.cacr_views(views, positive_temperature=0.4, negative_temperature=0.6)
    found = CACR(positive_temperature=0.4, negative_temperature=0.6)(*case.vectors, case.known)
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_cacr_at_a_high_temperature_is_a_difference_of_mean_squared_distances():
    known = relation([[1, 1, None, None], [1, None, None, 1]])
    case = step_of(Case(torch.empty(2, 4), torch.empty(4, 4), known), 1)
    similarity, positive, _ = case.arrays()
    cost = 2 - 2 * similarity
    expected = [cost[i][positive[i]].mean() - cost[i][~positive[i]].mean() for i in range(2)]
    found = CACR(positive_temperature=1e9, negative_temperature=1e9).rows(*case.vectors, known)
    assert found.tolist() == pytest.approx(expected, abs=1e-7)


def test_cacr_with_one_positive_does_not_depend_on_the_positive_temperature():
    case = step_of(Case(torch.empty(4, 4), torch.empty(4, 4), diagonal(4)), 2)
    one, other = (CACR(positive_temperature=each)(*case.vectors, case.known) for each in (0.1, 10.0))
    torch.testing.assert_close(one, other)


# SogCLR and ISogCLR


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


@settings(max_examples=30, deadline=None)
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


@settings(max_examples=20, deadline=None)
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


def plain(logits, gamma=0.9, subtract=True):
    """One direction of SogCLR on a matrix of scores."""
    criterion = RunningMean(inner=LogMeanExp(subtract_positive=subtract), gamma=gamma)
    return Objective(Composition(criterion=criterion, similarity="dot", logits=logits))


def scored(objective, scores, known, **inputs):
    """The outcome of a matrix of scores, and the gradient of the sum of its rows."""
    scores = scores.clone().requires_grad_()
    outcome = objective.outcome(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known, **inputs)
    return outcome, torch.autograd.grad(outcome.losses.sum(), scores)[0]


def random_scores(rows, columns, seed=0):
    return torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


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


# SOAP and SONG


class Pairs:
    """The state of pairs of an example and a text, as matrices for an oracle."""

    def __init__(self, kind, width):
        self.kind, self.width, self.known = kind, width, {}

    def look_up(self, index, identities):
        values = np.zeros((self.width, len(index), len(identities)))
        seen = np.zeros(values.shape[1:], dtype=bool)
        for row, column in np.ndindex(*seen.shape):
            key = (int(index[row]), int(identities[column]))
            if key in self.known:
                values[:, row, column], seen[row, column] = self.known[key], True
        return values, seen

    def remember(self, index, identities, values, positive, kept):
        """Pairs that are there twice take their mean."""
        found = {}
        for row, column in zip(*np.nonzero(positive & kept[:, None]), strict=True):
            found.setdefault((int(index[row]), int(identities[column])), []).append(values[:, row, column])
        self.known |= {key: np.mean(each, axis=0) for key, each in found.items()}

    def check(self, table):
        index, identities = (torch.tensor([key[place] for key in self.known], dtype=torch.int64) for place in (0, 1))
        stored, visits = table.eval().read(table.slots(index, identities))
        table.train()
        assert (visits > 0).all()
        assert (table.visits > 0).sum() == len(self.known)
        close(stored, np.array(list(self.known.values())).reshape(stored.shape))


@settings(max_examples=30, deadline=None)
@given(
    case=cases(most=5),
    seed=st.integers(0, 1000),
    gamma=st.sampled_from([0.3, 0.9, 1.0]),
    margin=st.sampled_from([0.4, 1.0]),
)
def test_soap_follows_its_equation_step_by_step(case, seed, gamma, margin):
    objective, pairs = SOAP(margin=margin, gamma=gamma).double(), Pairs(slow.PrecisionState, 2)
    for number in range(3):
        now, index = step_of(case, seed + number), indexes(case, seed + number)
        identities = case.known.candidate_ids
        (up, ua), seen = pairs.look_up(index, identities)
        expected = slow.soap(*now.arrays(), slow.PrecisionState(up, ua, seen), margin=margin, gamma=gamma)
        outcome, found = call(objective, now, index)
        close(outcome.losses.detach(), expected.losses)
        assert outcome.kept.tolist() == expected.kept.tolist()
        check_gradient(found, through_cosines(now, expected.gradient / max(expected.kept.sum(), 1)))
        values = np.stack([expected.state.positives, expected.state.everything])
        pairs.remember(index, identities, values, now.problem.positive.numpy(), expected.kept)
        pairs.check(objective.memory["criterion"])


@settings(max_examples=30, deadline=None)
@given(
    case=cases(most=5),
    seed=st.integers(0, 1000),
    gamma=st.sampled_from([0.3, 0.9]),
    items=st.sampled_from([None, 100]),
    top=st.sampled_from([None, 2]),
)
def test_song_follows_its_equation_step_by_step(case, seed, gamma, items, top):
    objective, pairs = SONG(gamma=gamma, items=items, top=top).double(), Pairs(slow.RankState, 1)
    thresholds, size = np.zeros(50), case.known.shape[0]
    for number in range(3):
        now, generator = step_of(case, seed + number), torch.Generator().manual_seed(seed + number)
        index = torch.randperm(EXAMPLES, generator=generator)[:size]
        identities, grades = case.known.candidate_ids, now.problem.grades.numpy()
        (average,), seen = pairs.look_up(index, identities)
        state = slow.RankState(average, seen, thresholds[index.numpy()])
        expected = slow.song(*now.arrays(), grades, state, gamma=gamma, items=items, top=top)
        outcome, found = call(objective, now, index)
        close(outcome.losses.detach(), expected.losses)
        assert outcome.kept.tolist() == expected.kept.tolist()
        check_gradient(found, through_cosines(now, expected.gradient / max(expected.kept.sum(), 1)))
        positive = now.problem.positive.numpy()
        pairs.remember(index, identities, expected.state.average[None], positive, expected.kept)
        pairs.check(objective.memory["criterion"])
        thresholds[index.numpy()] = expected.state.threshold
        if top is not None:
            close(objective.memory["criterion_inner_gate"].read(torch.arange(50))[0][:, 0], thresholds)


def hinges(scores, row, positive):
    return (1.0 - (scores[row, positive] - scores[row])).clamp(min=0) ** 2


def test_at_a_first_visit_soap_has_the_gradient_of_average_precision():
    known = relation([[1, 1, None, None, None], [None, None, 1, None, None]])
    scores = random_scores(2, 5).requires_grad_()
    ratio = [hinges(scores, 0, p)[:2].sum() / hinges(scores, 0, p).sum() for p in (0, 1)]
    ratio.append(hinges(scores, 1, 2)[2] / hinges(scores, 1, 2).sum())
    expected = torch.autograd.grad(-(ratio[0] + ratio[1]) / 2 - ratio[2], scores)[0]
    outcome, found = scored(SOAP(similarity="dot"), scores.detach(), known, index=torch.arange(2))
    torch.testing.assert_close(found, expected)
    assert outcome.losses.abs().max() < 1e-12


def test_soap_of_a_row_without_negatives_is_zero_without_gradient():
    outcome, found = scored(SOAP(similarity="dot"), random_scores(1, 3), relation([[1, 1, 1]]), index=whole([0]))
    assert outcome.kept.all()
    assert outcome.losses.abs().max() < 1e-12
    assert found.abs().max() < 1e-12


def test_at_a_first_visit_song_has_the_gradient_of_ndcg():
    known = relation([[2, 1, None, None, None]])
    scores = random_scores(1, 5).requires_grad_()
    gain = 3 / torch.log2(1 + hinges(scores, 0, 0).sum()) + 1 / torch.log2(1 + hinges(scores, 0, 1).sum())
    expected = torch.autograd.grad(-gain / (3 + 1 / math.log2(3)), scores)[0]
    found = scored(SONG(similarity="dot"), scores.detach(), known, index=whole([4]))[1]
    torch.testing.assert_close(found, expected)


def test_pairs_are_told_apart_by_the_identity_of_the_positive():
    first = relation([[1, None, None]], candidate_ids=[7, 8, 9])
    other = relation([[1, None, None]], candidate_ids=[6, 8, 9])
    objective, fresh = SOAP(similarity="dot"), SOAP(similarity="dot")
    scored(objective, random_scores(1, 3, 1), first, index=whole([0]))
    one = scored(objective, random_scores(1, 3, 2), other, index=whole([0]))[1]
    torch.testing.assert_close(one, scored(fresh, random_scores(1, 3, 2), other, index=whole([0]))[1])
    two = scored(objective, random_scores(1, 3, 2), first, index=whole([0]))[1]
    assert (one - two).abs().max() > 1e-3


# LibAUC's own numbers


def waves(rows, columns, number):
    """Numbers that need no generator."""
    places = torch.arange(rows * columns, dtype=torch.float64).reshape(rows, columns)
    return torch.sin(1.7 * places * (number + 1) + 0.9 * number)


LIBAUC = {
    "contrastive": [1.710130831, 1.6781886207, 1.1575635803, 1.1135368721],
    "individual": [1.710130831, 1.5696516464, 1.1071359212, 1.353083363],
    "temperatures": [0.0944948902, 0.0836564694, 0.0571608084, 0.0984803632, 0.0972020544],
    "precision": [0.0, -0.1681777868, -0.0137679693, -0.1015340948],
    "gain": [0.0688971934, 0.0373237624, 0.0382027387, 0.0461005765],
    "gain at the top": [0.0349288787, 0.019071123, 0.0262982809, 0.0273688294],
}
"""What the code of LibAUC 2.0.1 gives for ``waves``, four steps in a row."""


@pytest.mark.parametrize("individual", [False, True])
def test_losses_are_those_of_libaucs_first_version_which_adds_up_two_views(individual):
    """It takes the similarities as they are, has one memory for both views, and adds up where we take the mean."""
    shared = {"temperature": 0.1, "gamma": 0.8, "sides": "both", "subtract_positive": False}
    objective = (ISogCLR(rho=0.3, learning_rate=0.005, **shared) if individual else SogCLR(**shared)).double()
    losses = [
        2 * objective(waves(5, 4, number), waves(5, 4, number + 10), diagonal(5), index=torch.arange(5)).item()
        for number in range(4)
    ]
    assert losses == pytest.approx(LIBAUC["individual" if individual else "contrastive"], abs=1e-9)
    if individual:
        found = objective.memory["logits_0"].values[:5, 0].tolist()
        assert found == pytest.approx(LIBAUC["temperatures"], abs=1e-9)


def from_nothing(objective, scores, known, index):
    """LibAUC's averages of ranks start at 0 and move by gamma at a first visit already; ours take the first value."""
    scored(objective, scores, known, index=index)
    for table in (module for module in objective.modules() if isinstance(module, Table)):
        table.values.zero_()


def test_losses_are_those_of_libaucs_average_precision_apart_from_the_first_visit():
    known, index = relation([[1, None, 1, None, None, None]]), whole([0])
    objective = SOAP(gamma=0.7, similarity="dot").double()
    from_nothing(objective, waves(1, 6, 0), known, index)
    found = [scored(objective, waves(1, 6, number), known, index=index)[0].loss.item() for number in range(4)]
    assert found == pytest.approx(LIBAUC["precision"], abs=1e-9)


@pytest.mark.parametrize("top", [None, 2])
def test_losses_are_those_of_libaucs_ndcg_apart_from_the_first_visit(top):
    known, index = relation([[2, 1, None, None, None, None], [1, 3, None, None, None, None]]), torch.arange(2)
    objective = SONG(gamma=0.7, items=50, top=top, similarity="dot").double()
    from_nothing(objective, waves(2, 6, 0), known, index)
    found = [scored(objective, waves(2, 6, number), known, index=index)[0].loss.item() for number in range(4)]
    assert found == pytest.approx(LIBAUC["gain at the top" if top else "gain"], abs=1e-9)


# What all of them have in common


def remembering():
    return [
        SogCLR(gamma=0.5),
        SogCLR(gamma=0.5, sides="both"),
        ISogCLR(gamma=0.5),
        SOAP(gamma=0.5),
        SONG(gamma=0.5, top=2),
    ]


@pytest.mark.parametrize("objective", remembering(), ids=str)
def test_a_permuted_batch_remembers_the_same(objective):
    one, other = deepcopy(objective).double(), deepcopy(objective).double()
    order = torch.tensor([2, 0, 3, 1])
    for number in range(3):
        now = step_of(Case(torch.empty(4, 4), torch.empty(4, 4), diagonal(4)), number)
        turned = relation(
            [[1 if i == j else None for j in range(4)] for i in range(4)],
            anchor_ids=order.tolist(),
            candidate_ids=(100 + order).tolist(),
        )
        first = one(*now.vectors, now.known, index=torch.arange(4) + 2)
        second = other(now.anchors[order], now.candidates[order], turned, index=order + 2)
        torch.testing.assert_close(first, second)
    for key, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key])


@pytest.mark.parametrize(
    "objective",
    [plain((Temperature(temperature=0.4),), 0.5), SOAP(gamma=0.5, similarity="dot"), SONG(gamma=0.5, similarity="dot")],
    ids=str,
)
def test_its_gradient_is_that_of_the_terms_with_the_slopes_held_fixed(objective):
    known, index = relation([[1, 2, None, None], [None, None, 1, None]]), torch.arange(2)
    objective = objective.double()
    scored(objective, random_scores(2, 4, 1), known, index=index)
    objective.eval()
    scores = random_scores(2, 4, 2)
    outcome, found = scored(objective, scores, known, index=index)
    (seen,), form = outcome.problems, objective.form.form if hasattr(objective.form, "form") else objective.form
    inner, memory = form.criterion.inner, Memory(dict(objective.memory.items()), "criterion")
    averages = form.criterion._averages(seen, inner.terms(seen), memory)
    slopes = inner.outer(seen, inner.terms(seen), averages, memory.at("inner"))[1].detach()

    def value(moved):
        of = replace(seen, similarity=moved, logits=moved / seen.temperature)
        return (slopes * inner.terms(of).values).sum()

    assert value(scores).item() == pytest.approx(outcome.losses.sum().item(), abs=1e-12)
    moved = scores.clone().requires_grad_()
    assert torch.autograd.gradcheck(value, (moved,))
    torch.testing.assert_close(torch.autograd.grad(value(moved), moved)[0], found)


@pytest.mark.parametrize("objective", remembering(), ids=str)
def test_without_an_index_nothing_is_remembered(objective):
    now = step_of(Case(torch.empty(3, 4), torch.empty(5, 4), diagonal(3, 5)), 1)
    losses = [objective(*now.vectors, now.known, index=whole([-1, -1, -1])) for _ in range(2)]
    assert losses[0].item() == losses[1].item()
    assert all(not module.visits.any() for module in objective.modules() if isinstance(module, Table))
