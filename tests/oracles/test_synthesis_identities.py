"""Identities and fixtures of synthesis: what the mixtures are made of, and what remains without them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives import (
    Adversarial,
    Composition,
    HardMix,
    InfoNCE,
    MoCHi,
    MoCo,
    Objective,
    PositiveExtrapolation,
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
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from nearfar.objectives.synthesis.interpolate import InterpolateNegatives
from nearfar.objectives.synthesis.labels import MixAroundLabels, label_gaps
from nearfar.objectives.synthesis.mix import Mix, MixList
from nearfar.objectives.synthesis.perturb import Perturb
from nearfar.types import Origin
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import Case
from tests.oracles.mixtures import generator, hard, unit, vectors
from tests.oracles.slow import synthesis as oracle

VALUES = settings(max_examples=15, deadline=None)
GOLDEN = torch.tensor([[0.8, 0.7, 0.1], [0.2, 0.6, 0.5], [0.65, 0.3, 0.9]], dtype=torch.float64)


def seen(objective, sides, known, **inputs):
    """The made columns and who may use them."""
    problem = objective.outcome(*sides, known, **inputs).problems[0]
    return problem.candidates[known.shape[1] :], problem.valid[:, known.shape[1] :], problem


@pytest.mark.parametrize(
    "objective",
    [
        MoCo(temperature=0.1, size=4, keys="given"),
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
