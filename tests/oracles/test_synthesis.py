"""Synthesis against the equations: what was drawn is drawn again, and the slow version mixes it."""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.objectives import (
    Adversarial,
    Composition,
    HardMix,
    InfoNCE,
    Metrix,
    MoCHi,
    MoCo,
    NegativeInterpolation,
    Objective,
    PositiveExtrapolation,
    Sum,
    SupCon,
    SupReMix,
)
from nearfar.objectives.candidates.labelled import LabelledSides
from nearfar.objectives.criteria.mixed_pairs import ContrastiveHost, MixedPairs, MultiSimilarityHost
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.criteria.two_sided import TwoSided
from nearfar.objectives.logits.extrapolation import ExtrapolatePositives
from nearfar.objectives.logits.shift import Shift
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.part import Synthesis
from nearfar.objectives.problem import Problem, make_problem
from nearfar.objectives.synthesis.interpolate import InterpolateNegatives
from nearfar.objectives.synthesis.labels import MixAroundLabels, MixTowardsLabels, label_gaps
from nearfar.objectives.synthesis.mix import Mix, MixList
from nearfar.objectives.synthesis.perturb import Perturb
from nearfar.types import Origin
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import Case, cases, check_loss, check_rows, mean_of
from tests.oracles.slopes import check_slopes
from tests.oracles.slow import synthesis as oracle

VALUES = settings(max_examples=15, deadline=None)
GRADIENTS = settings(max_examples=5, deadline=None)
GOLDEN = torch.tensor([[0.8, 0.7, 0.1], [0.2, 0.6, 0.5], [0.65, 0.3, 0.9]], dtype=torch.float64)


def real(case):
    """The case with columns of the batch and hard negatives only."""
    origins = torch.where(case.known.origins % 2 == 1, int(Origin.HARD), int(Origin.IN_BATCH))
    return Case(case.anchors, case.candidates, replace(case.known, origins=origins))


def some(most=6, dim=4):
    return cases(most=most, dim=dim).map(real)


def unit(case, labels=None):
    """The problem as parts see it: with vectors of length 1."""
    sides = [normalize(side, dim=1) for side in case.vectors]
    return replace(case.problem, anchors=sides[0], candidates=sides[1], labels=labels)


def generator(seed):
    """That of the first call."""
    return Draws(seed).generator()


def lists(drawn):
    return [None if each is None else each.numpy() for each in drawn]


def values_of(case, seed=0):
    """Labels of the anchors: a few numbers, some of them equal."""
    drawn = torch.Generator().manual_seed(seed)
    return torch.randint(0, 4, case.known.shape[:1], generator=drawn) * 2.5


def vectors(rows, columns, dim=4, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=drawn, dtype=torch.float64) for size in (rows, columns)]


def hard(size=3, each=3):
    """Anchors with a positive and some hard negatives of their own."""
    columns = size * (1 + each)
    grades = [
        [1 if j == i else 0 if size + i * each <= j < size + (i + 1) * each else None for j in range(columns)]
        for i in range(size)
    ]
    return relation(grades, origins=[Origin.IN_BATCH] * size + [Origin.HARD] * (size * each))


@VALUES
@given(case=some(), seed=st.integers(0, 50))
def test_mochi(case, seed):
    objective = MoCHi(hardest=3, mixed=4, mixed_with_query=2, temperature=0.2, seed=seed)
    problem = unit(case)
    first, second, share = lists(Mix(hardest=3, count=4).draw(problem, generator(seed)))
    query = Mix(first="anchor", hardest=3, count=2, ceiling=0.5).draw(problem, generator(seed + 1))
    _, ids, query_share = lists(query)
    assert (query_share <= 0.5).all()
    allowed = oracle.mochi_hardest(*case.arrays(), 3)
    for row, own in enumerate(allowed):
        assert set(ids[row]) <= (set(own) or {-1})
        pairs = set(zip(first[row], second[row], strict=True))
        assert pairs <= ({(j, k) for j in own for k in own if j != k} or {(-1, -1)})
    _, positive, valid = case.arrays()
    sides = [side.numpy() for side in case.vectors]
    expected = oracle.mochi(*sides, positive, valid, first, second, share, ids, query_share, temperature=0.2)
    check_rows(objective, case, expected)


@VALUES
@given(case=some(), seed=st.integers(0, 50), gamma=st.sampled_from([0.0, 0.5, 2.0]))
def test_hard_mix(case, seed, gamma):
    part = Mix(pool="own", count=3, concentration=(2.0, 2.0))
    drawn = lists(part.draw(unit(case), generator(seed)))
    sides = [side.numpy() for side in case.vectors]
    given_ = {"temperature": 0.2, "list_temperature": 0.1, "gamma": gamma}
    _, positive, valid = case.arrays()
    expected = oracle.hard_mix(*sides, positive, valid, case.problem.own.numpy(), *drawn, **given_)
    for detach in (False, True):
        check_rows(HardMix(count=3, seed=seed, detach=detach, **given_), case, expected)


@VALUES
@given(
    case=some(),
    seed=st.integers(0, 50),
    host=st.sampled_from(["contrastive", "multi_similarity"]),
    partner=st.sampled_from(["positive", "anchor", "either"]),
    renormalise=st.booleans(),
)
def test_metrix(case, seed, host, partner, renormalise):
    given_ = {"host": host, "weight": 0.7, "margin": 0.2, "alpha": 1.5, "beta": 3.0, "base": 0.3}
    part = Mix(first=partner, count=3, concentration=(2.0, 2.0), shared=True)
    one, other, share = lists(part.draw(unit(case), generator(seed)))
    assert len(np.unique(share)) <= 1
    anchors, candidates = (side.numpy() for side in case.vectors)
    usable = (other >= 0) & (one is None or one >= 0)
    labels, scores = np.zeros(other.shape), np.zeros(other.shape)
    for row in range(len(anchors)):
        first = np.repeat(anchors[row : row + 1], 3, axis=0) if one is None else candidates[one[row]]
        made, labels[row] = oracle.metrix_mix(
            first, candidates[other[row]], np.ones(3), np.zeros(3), share[row], renormalise=renormalise
        )
        scores[row] = made @ oracle.unit(anchors)[row]
    expected = oracle.metrix(*case.arrays(), scores, labels, usable, **given_)
    check_rows(Metrix(partner=partner, count=3, seed=seed, renormalise=renormalise, **given_), case, expected)


@VALUES
@given(case=some(), seed=st.integers(0, 50), renormalise=st.booleans())
def test_positive_extrapolation(case, seed, renormalise):
    scores, positive, valid = case.arrays()
    problem = replace(case.problem, logits=torch.from_numpy(scores))
    excess = ExtrapolatePositives().draw(problem, generator(seed)).numpy()
    moved = scores.copy()
    for i, p in zip(*np.nonzero(positive), strict=True):
        pair = [side.numpy()[place : place + 1] for side, place in zip(case.vectors, (i, p), strict=True)]
        one, other = oracle.positive_extrapolation(*pair, 1 + excess[i], renormalise=renormalise)
        moved[i, p] = one[0] @ other[0]
    nothing = np.zeros((len(scores), 0))
    expected = oracle.info_nce_with_mixtures(moved, positive, valid, nothing, nothing, temperature=0.5)
    check_rows(PositiveExtrapolation(temperature=0.5, seed=seed, renormalise=renormalise), case, expected)


@VALUES
@given(case=some(), seed=st.integers(0, 50), renormalise=st.booleans(), instead=st.booleans())
def test_negative_interpolation(case, seed, renormalise, instead):
    scores, positive, valid = case.arrays()
    share, order = InterpolateNegatives().draw(unit(case), generator(seed))
    share, order = share.item(), order.numpy()
    made = oracle.negative_interpolation(case.candidates.numpy(), order, share, renormalise=renormalise)
    usable = oracle.interpolated_negative(positive, valid, order)
    made_scores = oracle.unit(case.anchors.numpy()) @ made.T
    rest = positive if instead else valid
    expected = oracle.info_nce_with_mixtures(scores, positive, rest, made_scores, usable, temperature=0.3)
    objective = NegativeInterpolation(temperature=0.3, seed=seed, renormalise=renormalise, replace=instead)
    check_rows(objective, case, expected)


@VALUES
@given(case=some(), epsilon=st.sampled_from([0.05, 0.3]), unit_gradient=st.booleans())
def test_adversarial(case, epsilon, unit_gradient):
    scores, positive, valid = case.arrays()
    hardest = oracle.mochi_hardest(scores, positive, valid, 2)
    ids = np.array([[*own, -1, -1][:2] for own in hardest])
    given_ = {"epsilon": epsilon, "temperature": 0.3, "unit_gradient": unit_gradient}
    sides = [side.numpy() for side in case.vectors]
    expected = oracle.adversarial(*sides, positive, valid, ids, **given_)
    check_rows(Adversarial(count=2, **given_), case, expected)


@VALUES
@given(
    case=some(),
    seed=st.integers(0, 50),
    weighting=st.sampled_from(["growing", "shrinking", "none"]),
    renormalise=st.booleans(),
)
def test_sup_re_mix(case, seed, weighting, renormalise):
    labels = values_of(case, seed)
    both = LabelledSides().apply(unit(case, labels), Memory({}))
    ids, share = lists(MixTowardsLabels(count=2).draw(both, generator(seed)))
    around = lists(MixAroundLabels(count=2, window=4.0).draw(both, generator(seed + 1)))
    rows, values, valid = both.anchors.numpy(), both.labels.numpy(), both.valid.numpy()
    given_ = {"renormalise": renormalise}
    far = oracle.sup_re_mix_negatives(rows, values, ids, share, **given_)
    near = oracle.sup_re_mix_positives(rows, values, *around, window=4.0, **given_)
    np.testing.assert_allclose(near[1][near[2]], np.broadcast_to(values[:, None], near[1].shape)[near[2]])
    assert near[2].tolist() == ((around[0] >= 0) & (around[1] >= 0)).tolist()
    mixed, mixed_labels, usable = (np.concatenate(pair, axis=1) for pair in zip(far, near, strict=True))
    is_positive = np.concatenate([np.zeros_like(far[2]), near[2]], axis=1)
    expected = oracle.sup_re_mix(
        rows, values, valid, mixed, mixed_labels, is_positive, usable, temperature=0.3, weighting=weighting
    )
    objective = SupReMix(window=4.0, weighting=weighting, negatives=2, positives=2, seed=seed, **given_)
    check_loss(objective, case, mean_of(expected), labels=labels)


@dataclass(frozen=True, kw_only=True)
class Fixed(Synthesis):
    """Columns as they were made once.

    Attributes:
        after: the problem with them.
        columns: how many there were before.
    """

    after: Problem
    columns: int

    def apply(self, problem, memory):
        made = self.after.candidates[self.columns :].detach()
        return replace(self.after, anchors=problem.anchors, candidates=torch.cat([problem.candidates, made]))


def frozen(form, problem, memory):
    """A form whose synthesis is held fixed at what it makes now."""
    form = getattr(form, "form", form)
    if isinstance(form, Sum):
        terms = tuple(frozen(term, problem, memory.at("terms", place)) for place, term in enumerate(form.terms))
        return replace(form, terms=terms)
    before = form.candidates.apply(problem, memory)
    after = before
    for place, part in enumerate(form.synthesis):
        after = part.apply(after, memory.at("synthesis", place))
    return replace(form, synthesis=(Fixed(after=after, columns=len(before.candidates)),))


@pytest.mark.parametrize(
    "objective",
    [
        MoCo(temperature=0.3, size=5),
        MoCHi(temperature=0.3, mixed=3, mixed_with_query=2),
        HardMix(temperature=0.3, detach=True),
        Metrix(),
        NegativeInterpolation(temperature=0.3),
        Adversarial(temperature=0.3),
        SupReMix(negatives=2, positives=2),
    ],
    ids=str,
)
def test_gradients_with_what_was_made_held_fixed(objective):
    @GRADIENTS
    @given(case=some(most=4, dim=3))
    def check(case):
        inputs = {"labels": values_of(case)} if objective.needs else {}
        fresh = deepcopy(objective).prepare(3).double()
        if isinstance(objective.form.form, Composition):  # so that a queue has something in it
            fresh(*reversed(case.vectors), torch.ones(case.known.shape[::-1]), **turned(inputs, case))
        state = Memory(dict(deepcopy(fresh.memory).items()))
        held = Objective(frozen(fresh.form, unit(case, inputs.get("labels")), state))
        check_slopes(fresh, case, like=held, **inputs)

    check()


def turned(inputs, case):
    return {key: torch.zeros(len(case.candidates)) for key in inputs}


@pytest.mark.parametrize(
    "objective",
    [PositiveExtrapolation(temperature=0.5), HardMix(temperature=0.3, list_temperature=0.3, count=3, gamma=0.5)],
    ids=str,
)
def test_gradients_through_what_was_made(objective):
    @GRADIENTS
    @given(case=some(most=4, dim=3))
    def check(case):
        check_slopes(objective, case)

    check()


# Identities and fixtures


def seen(objective, sides, known, **inputs):
    """The made columns and who may use them."""
    problem = objective.outcome(*sides, known, **inputs).problems[0]
    return problem.candidates[known.shape[1] :], problem.valid[:, known.shape[1] :], problem


@pytest.mark.parametrize(
    "objective",
    [
        MoCo(temperature=0.1, size=4),
        MoCHi(temperature=0.1, mixed=0, mixed_with_query=0),
        MoCHi(temperature=0.1, warm_up=1),
        HardMix(temperature=0.1),
        Adversarial(temperature=0.1, epsilon=0.0, count=0),
    ],
    ids=str,
)
def test_without_anything_made_it_is_info_nce(objective):
    rows = objective.rows(GOLDEN, torch.eye(3).double(), diagonal(3))
    expected = InfoNCE(temperature=0.1).rows(GOLDEN, torch.eye(3).double(), diagonal(3))
    torch.testing.assert_close(rows, expected)


def test_golden_rows_with_scores_as_they_are():
    form = replace(MoCHi(temperature=0.1, mixed=0, mixed_with_query=0).form.form, similarity="dot")
    rows = Objective(form).rows(GOLDEN, torch.eye(3).double(), diagonal(3))
    assert rows.tolist() == pytest.approx([0.3139, 0.3266, 0.0812], abs=5e-5)
    masked = relation([[1, None, None], [None, 1, None], [None, None, 1]], ignored=[(0, 1)])
    assert Objective(form)(GOLDEN, torch.eye(3).double(), masked).item() == pytest.approx(0.1362, abs=5e-5)


def test_mixtures_have_length_one_and_are_private_and_in_the_span_of_their_sources():
    sides = vectors(4, 9, dim=16)
    made, usable, problem = seen(MoCHi(mixed=5, mixed_with_query=0), sides, diagonal(4, 9))
    torch.testing.assert_close(made.norm(dim=1), torch.ones(20).double())
    assert not made.requires_grad
    assert (problem.origins[9:] == Origin.MIXED).all()
    assert torch.equal(usable, torch.eye(4, dtype=torch.bool).repeat_interleave(5, dim=1))
    first, second, _ = Mix(count=5).draw(unit(Case(*sides, diagonal(4, 9))), generator(0))
    for place, vector in enumerate(made):
        sources = problem.candidates[torch.stack([first.flatten()[place], second.flatten()[place]])]
        rest = vector - torch.linalg.lstsq(sources.T, vector[:, None]).solution[:, 0] @ sources
        assert rest.norm() < 1e-10


def test_a_mixture_with_the_anchor_is_nearer_to_it_than_its_negative():
    sides = vectors(4, 9, dim=16)
    made, usable, problem = seen(MoCHi(mixed=0, mixed_with_query=6, seed=3), sides, diagonal(4, 9))
    ids = Mix(first="anchor", count=6, ceiling=0.5).draw(problem, generator(4))[1]
    scores = problem.anchors @ problem.candidates.T
    mine = scores[:, 9:][usable].reshape(4, 6)
    assert (mine > scores.gather(1, ids)).all()
    assert (mine < 1).all()
    assert made.shape == (24, 16)


def test_no_mixture_is_made_of_what_is_not_a_negative():
    known = relation([[1, 1, None, None, None]], ignored=[(0, 2)])
    problem = make_problem("test", *vectors(1, 5), known)
    for seed in range(30):
        drawn = Mix(count=8).draw(problem, generator(seed))
        assert set(drawn[0].flatten().tolist()) | set(drawn[1].flatten().tolist()) <= {3, 4}


def test_a_list_of_one_is_that_negative_and_one_negative_makes_no_pair():
    sides, known = vectors(3, 6), hard(3, 1)
    made, usable, problem = seen(HardMix(count=4), sides, known)
    assert not usable[:, :12].any()
    assert torch.equal(usable[:, 12:], torch.eye(3, dtype=torch.bool))
    torch.testing.assert_close(made[12:], problem.candidates[3:6])
    pairs = seen(HardMix(count=4), vectors(3, 12), hard(3, 3))[1]
    assert pairs[:, :12].sum() == 12


@pytest.mark.parametrize(("share", "expected"), [(0.9, 0.3162), (0.1, 0.9487)])
def test_golden_focal_weights(share, expected):
    scores = torch.tensor([[share, 1 - share]], dtype=torch.float64).log()
    known, columns = diagonal(1, 2), torch.eye(2).double()
    forms = [replace(HardMix(temperature=1.0, gamma=gamma).form.form, similarity="dot") for gamma in (0.5, 0.0)]
    focal, plain = (Objective(form)(scores, columns, known).item() for form in forms)
    assert focal / plain == pytest.approx(expected, abs=5e-5)


@dataclass(frozen=True, kw_only=True)
class GivenExcess(ExtrapolatePositives):
    """With a given coefficient.

    Attributes:
        excess: how far it is above 1.
    """

    excess: float = 0.0

    def draw(self, problem, generator):
        return torch.full((len(problem.z), 1), self.excess, dtype=problem.z.dtype)


@pytest.mark.parametrize(
    ("score", "coefficient", "renormalise", "expected"),
    [(0.5, 1.5, False, -0.25), (-0.74, 1.4, False, -2.6888), (-0.74, 1.4, True, -0.9118), (0.3, 1.0, True, 0.3)],
)
def test_golden_extrapolation(score, coefficient, renormalise, expected):
    part = GivenExcess(excess=coefficient - 1, renormalise=renormalise)
    form = Composition(criterion=Softmax(), similarity="dot", logits=(part,))
    scores = torch.tensor([[score, 0.1]], dtype=torch.float64)
    problem = Objective(form).outcome(scores, torch.eye(2).double(), diagonal(1, 2)).problems[0]
    assert problem.z[0].tolist() == pytest.approx([expected, 0.1], abs=5e-5)


@VALUES
@given(seed=st.integers(0, 50))
def test_extrapolation_never_makes_a_positive_easier(seed):
    sides = vectors(5, 5, seed=seed)
    problem = PositiveExtrapolation(seed=seed).outcome(*sides, diagonal(5)).problems[0]
    moved, before = problem.z * problem.temperature, problem.scores
    assert (moved.diagonal() <= before.diagonal() + 1e-12).all()
    assert (moved.diagonal() >= -1 - 1e-12).all()
    beside = ~torch.eye(5, dtype=torch.bool)
    torch.testing.assert_close(moved[beside], before[beside])


@dataclass(frozen=True, kw_only=True)
class Unmoved(InterpolateNegatives):
    """Every column is mixed with itself."""

    def draw(self, problem, generator):
        share = torch.ones((), dtype=problem.anchors.dtype)
        return share, torch.arange(len(problem.candidates))


def test_columns_that_are_mixed_with_themselves_are_info_nce():
    form = Composition(criterion=Softmax(), synthesis=(Unmoved(),), logits=(Temperature(temperature=0.1),))
    sides = vectors(5, 7)
    torch.testing.assert_close(
        Objective(form).rows(*sides, diagonal(5, 7)), InfoNCE(temperature=0.1).rows(*sides, diagonal(5, 7))
    )


@pytest.mark.parametrize("host", [ContrastiveHost(margin=0.2), MultiSimilarityHost(alpha=1.5, beta=3.0, base=0.3)])
def test_mixtures_that_are_the_clean_pairs_count_the_host_again(host):
    anchors, candidates = vectors(4, 6)
    grades = torch.eye(4, 6)
    form = Composition(criterion=MixedPairs(host=host, weight=0.7))
    clean = Objective(form)(anchors, candidates, grades)
    origin = torch.tensor([int(Origin.IN_BATCH)] * 6 + [int(Origin.MIXED)] * 6)
    twice = Objective(form)(anchors, torch.cat([candidates, candidates]), torch.cat([grades, grades], 1), origin=origin)
    torch.testing.assert_close(twice, 1.7 * clean)


def test_the_multi_similarity_host_of_clean_pairs_is_the_two_sided_criterion():
    sides = vectors(4, 6)
    host = MultiSimilarityHost(alpha=1.5, beta=3.0, base=0.3)
    ours = Objective(Composition(criterion=MixedPairs(host=host)))
    theirs = Composition(criterion=TwoSided(alpha=1.5, beta=3.0), logits=(Shift(by=-0.3),))
    torch.testing.assert_close(ours(*sides, diagonal(4, 6)), Objective(theirs)(*sides, diagonal(4, 6)))


@VALUES
@given(seed=st.integers(0, 50))
def test_mixed_positives_have_the_label_of_their_row_and_sources_inside_the_window(seed):
    sides = vectors(6, 6, seed=seed)
    labels = torch.tensor([0.0, 1.0, 2.0, 4.0, 9.0, 2.5])
    problem = make_problem("test", *sides, diagonal(6), labels=labels)
    both = LabelledSides().apply(problem, Memory({}))
    lower, higher = MixAroundLabels(count=3, window=2.5).draw(both, generator(seed))
    gaps = label_gaps(both)
    for row in range(12):
        for places, sign in ((lower[row], -1), (higher[row], 1)):
            for place in places[places >= 0]:
                assert 0 < sign * gaps[row, place] < 2.5
    assert (higher[4] == -1).all()


def test_without_mixtures_and_weights_it_is_sup_con_of_equal_labels():
    sides = vectors(5, 5)
    labels = torch.tensor([1.0, 2.0, 1.0, 3.0, 2.0])
    objective = SupReMix(weighting="none", negatives=0, positives=0)
    classes = (labels[:, None] == labels[None, :]).float()
    found = objective(*sides, torch.eye(5), labels=labels)
    torch.testing.assert_close(found, SupCon(temperature=0.3)(*sides, classes))


@VALUES
@given(epsilon=st.floats(0.05, 0.3), seed=st.integers(0, 50), unit_gradient=st.booleans())
def test_perturbed_negatives_are_nearer_and_perturbed_positives_further(epsilon, seed, unit_gradient):
    sides = vectors(4, 6, dim=8, seed=seed)
    problem = unit(Case(*sides, diagonal(4, 6)))
    scores = problem.anchors @ problem.candidates.T
    given_ = {"epsilon": epsilon, "unit_gradient": unit_gradient}
    nearer = Perturb(count=3, **given_).apply(problem, Memory({}))
    further = Perturb(of="positives", **given_).apply(problem, Memory({}))
    hardest = scores.masked_fill(torch.eye(4, 6, dtype=torch.bool), -2).topk(3, dim=1).values
    mine = (nearer.anchors @ nearer.candidates.T)[:, 6:][nearer.valid[:, 6:]].reshape(4, 3)
    assert (mine.sort(dim=1, descending=True).values > hardest).all()
    moved = (further.anchors @ further.candidates.T)[:, 6:]
    assert (moved.diagonal() < scores.diagonal()).all()
    assert not further.positive[:, :6].any()
    assert torch.equal(further.positive[:, 6:], torch.eye(4, dtype=torch.bool))


def test_there_is_no_second_derivative():
    sides = [side.requires_grad_() for side in vectors(4, 6)]
    problem = Perturb().apply(make_problem("test", *sides, diagonal(4, 6)), Memory({}))
    assert torch.autograd.grad(problem.candidates[6:].sum(), sides[1], allow_unused=True)[0].abs().sum() == 0


def test_list_weights_are_those_of_a_softmax():
    sides, known = vectors(1, 4), hard(1, 3)
    problem = MixList(temperature=0.5).apply(unit(Case(*sides, known)), Memory({}))
    made, _ = oracle.hard_mix_lists(*(side.numpy() for side in sides), np.array([[0, 1, 1, 1]]), list_temperature=0.5)
    np.testing.assert_allclose(problem.candidates[4].numpy(), made[0, 0])
