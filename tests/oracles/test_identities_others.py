"""What the equations imply beside the softmax row: two-sided sums, pairs, lists, running means, mixtures, weights."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy, kl_div, logsigmoid, normalize, softplus

from nearfar.objectives import (
    CACR,
    ICNN,
    MLCD,
    CoDiEmbSTS,
    Composition,
    InfoNCE,
    ISogCLR,
    MoCHi,
    MoCo,
    Objective,
    PlackettLuce,
    Propensity,
    SelfAdversarial,
    UniMEV2,
    parse,
)
from nearfar.objectives.candidates.labelled import LabelledSides
from nearfar.objectives.criteria.mixed_pairs import ContrastiveHost, MixedPairs, MultiSimilarityHost
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.criteria.sorting import keeps_of, mass_of
from nearfar.objectives.logits.extrapolation import ExtrapolatePositives
from nearfar.objectives.memory import Draws, Memory
from nearfar.objectives.problem import make_problem
from nearfar.objectives.synthesis.interpolate import InterpolateNegatives
from nearfar.objectives.synthesis.labels import MixAroundLabels, MixTowardsLabels
from nearfar.objectives.synthesis.mix import Mix
from nearfar.objectives.weights.propensity import InversePropensity
from nearfar.types import Origin
from tests.objectives.relations import diagonal, relation

FLOAT = {"dtype": torch.float64}


def vectors(*sizes, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, **FLOAT) for size in sizes]


def on_scores(objective, scores, known, **inputs):
    """The outcome for a matrix of scores: the candidates are unit vectors, and the product takes them as they are."""
    return objective.outcome(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known, **inputs)


# Two-sided sums and pairs


def test_exponents_of_circle_are_differences_of_squares_whose_own_slope_is_another():
    scores = torch.tensor([[0.6, 0.3, 0.2, -0.1]], **FLOAT).requires_grad_()
    paced = parse("Composition(criterion=TwoSided(joined=true), similarity=dot, logits=CirclePace(gamma=4.0))")
    exponents = on_scores(paced, scores, relation([[1, 1, None, None]])).problems[0].z[0]
    pulled, pushed = scores[0, :2], scores[0, 2:]
    squares = 4 * torch.cat([0.25**2 - (1 - pulled) ** 2, pushed**2 - 0.25**2])
    torch.testing.assert_close(exponents, squares)
    (found,) = torch.autograd.grad(exponents.sum(), scores)
    torch.testing.assert_close(found[0], 4 * torch.cat([1 + 0.25 - pulled, pushed + 0.25]))
    (without,) = torch.autograd.grad(squares.sum(), scores)
    torch.testing.assert_close(without[0], 4 * torch.cat([2 * (1 - pulled), 2 * pushed]))


def test_mlcd_of_a_hundred_thousand_classes_starts_near_fourteen():
    relevance = torch.zeros(1, 100_008, dtype=torch.bool)
    relevance[0, :8] = True
    objective = MLCD(margin=0.0, similarity="dot")
    start = objective(torch.zeros(1, 2, **FLOAT), torch.ones(100_008, 2, **FLOAT), relevance).item()
    assert start == pytest.approx(math.log(100_001) + math.log(9))
    assert start == pytest.approx(13.7, abs=0.05)


def test_a_soft_triplet_of_distances_is_the_softmax_of_minus_the_distances():
    sides = vectors(3, 3)
    known = relation([[1, None, None]] * 3, ignored=[(0, 2), (1, 1), (2, 2)])
    softmax = Objective(Composition(criterion=Softmax(), similarity="euclidean"))
    torch.testing.assert_close(parse("Triplet(kind=soft, distance=euclidean)")(*sides, known), softmax(*sides, known))


@pytest.mark.parametrize("neighbours", [1, 3, 20])
def test_the_score_of_icnn_is_at_most_one(neighbours):
    for seed in range(20):
        one, other = vectors(4, 4, seed=seed)
        assert ICNN(neighbours=neighbours)(one, one + 0.1 * (seed % 5) * other, diagonal(4)).item() >= 0


def test_weights_of_self_adversarial_negatives_add_up_to_one_and_are_detached():
    scores = vectors(3, dim=6)[0].requires_grad_()
    objective = SelfAdversarial(gamma=0.3, temperature=0.5, similarity="dot")
    outcome = on_scores(objective, scores, diagonal(3, 6))
    (gradient,) = torch.autograd.grad(outcome.losses.sum(), scores)
    negative = ~torch.eye(3, 6, dtype=torch.bool)
    weights = torch.softmax((scores.detach() / 0.5).masked_fill(~negative, -math.inf), dim=1)
    torch.testing.assert_close(gradient[negative], (0.5 * weights * torch.sigmoid(0.3 + scores.detach()))[negative])
    shares = 2 * gradient / torch.sigmoid(0.3 + scores.detach())
    torch.testing.assert_close(torch.where(negative, shares, 0.0).sum(dim=1), torch.ones(3, **FLOAT))
    expected = -(logsigmoid(0.3 + scores.diagonal()) + (weights * logsigmoid(-0.3 - scores)).sum(dim=1)) / 2
    torch.testing.assert_close(outcome.losses, expected)  # gamma once
    assert not torch.allclose(on_scores(objective, scores + 1, diagonal(3, 6)).losses, outcome.losses)


# Lists


def test_cross_entropy_of_the_first_places_is_that_of_the_last_ones_turned_round():
    (values,), items = vectors(3, dim=5), torch.full((3,), 5)
    positive = torch.tensor([False, False, False, True, True]).expand(3, -1)
    keeps = keeps_of(values, items)
    last = mass_of(keeps, positive, items)
    first = mass_of(keeps, positive.flip(1), items), mass_of(keeps, ~positive, items)
    assert not torch.allclose(first[0], 1 - last)
    torch.testing.assert_close(first[1], 1 - last)
    turned = binary_cross_entropy(first[1], 1 - positive.double())
    torch.testing.assert_close(binary_cross_entropy(last, positive.double()), turned)


def test_distillation_is_convex_in_the_scores():
    one, other, teacher = (vectors(1, dim=6, seed=seed)[0] for seed in (0, 1, 2))
    objective = PlackettLuce(kind="pld", temperature=1.0, similarity="dot")

    def loss(scores):
        return on_scores(objective, scores, torch.eye(1, 6), teacher=teacher).loss.item()

    for share in (0.25, 0.5, 0.75):
        assert loss(share * one + (1 - share) * other) <= share * loss(one) + (1 - share) * loss(other) + 1e-12


def test_half_of_the_symmetric_divergence_has_the_slope_of_the_forward_one():
    scores, teacher = vectors(3, 3, dim=4)
    form = replace(UniMEV2(temperature=0.5).form.form, similarity="dot")
    scores.requires_grad_()
    loss = on_scores(Objective(form), scores, torch.eye(3, 4), teacher=teacher).loss
    student, judge = torch.log_softmax(scores / 0.5, dim=1), torch.log_softmax(teacher / 0.5, dim=1)
    reverse = kl_div(judge, student, reduction="batchmean", log_target=True)
    (forward,) = torch.autograd.grad(2 * loss - reverse, scores)
    torch.testing.assert_close(forward, (student.exp() - judge.exp()).detach() / (0.5 * 3))


def test_a_certain_judge_at_a_low_temperature_does_not_underflow():
    scores = torch.tensor([[0.8, 0.7, 0.2]], requires_grad=True)
    form = replace(UniMEV2(temperature=0.002).form.form, similarity="dot")
    loss = on_scores(Objective(form), scores, torch.eye(1, 3), teacher=torch.tensor([[1.0, 0.0, 0.0]])).loss
    student = torch.log_softmax(scores.detach().double() / 0.002, dim=1)
    judge = torch.log_softmax(torch.tensor([[500.0, 0, 0]], **FLOAT), dim=1)
    divergences = [kl_div(*each, reduction="sum", log_target=True) for each in ((student, judge), (judge, student))]
    torch.testing.assert_close(loss.double(), sum(divergences) / 2, atol=1e-6, rtol=1e-4)
    assert torch.isfinite(torch.autograd.grad(loss, scores)[0]).all()


@pytest.mark.parametrize("grades", [[[1.0, 1, 1]], [[1.0]], [[0.5, 0.5], [0.5, 0.5]]])
def test_a_batch_of_equal_grades_has_no_loss_for_sentence_pairs(grades):
    known = torch.tensor(grades)
    sides = [side.requires_grad_() for side in vectors(*known.shape)]
    loss = CoDiEmbSTS()(*sides, known)
    loss.backward()
    assert loss.item() == 0
    assert all(torch.count_nonzero(side.grad) == 0 for side in sides)


# Expected cost and running means


def test_cacr_lies_between_minus_four_and_four():
    corners = torch.eye(3, **FLOAT)
    for seed in range(20):
        assert -4 <= CACR()(*vectors(4, 4, dim=2, seed=seed), diagonal(4)).item() <= 4
    anchors = torch.cat([corners[:1], -corners[:1]])
    assert CACR()(anchors, anchors, diagonal(2)).item() == pytest.approx(-4)
    assert CACR()(anchors, -anchors, diagonal(2)).item() == pytest.approx(4)


def test_without_memory_it_makes_no_difference_whether_the_positive_is_subtracted():
    """Nor for the temperatures. With a memory it does, see ``test_running``."""
    pair = [ISogCLR(gamma=1.0, subtract_positive=each, temperature=0.2).double() for each in (True, False)]
    for seed in range(3):
        found = []
        for objective in pair:
            sides = [side.requires_grad_() for side in vectors(4, 6, seed=seed)]
            loss = objective(*sides, diagonal(4, 6), index=torch.arange(4))
            found.append(torch.autograd.grad(loss, sides))
        torch.testing.assert_close(*found)
    tables = [objective.memory["terms_0_logits_0"].values for objective in pair]
    torch.testing.assert_close(*tables)
    assert (tables[0][:4, 0] != 0.2).all()


# Mixtures


@dataclass(frozen=True, kw_only=True)
class GivenShare(Mix):
    """Mixtures with a given share.

    Attributes:
        share: of the first component.
    """

    share: float = 1.0

    def draw(self, problem, generator):
        one, other, share = super().draw(problem, generator)
        return one, other, torch.full_like(share, self.share)


HOSTS = (ContrastiveHost(margin=-0.9), MultiSimilarityHost(alpha=2.0, beta=3.0, base=0.4))


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: type(host).__name__)
def test_a_mixture_that_is_all_positive_or_all_negative_is_a_clean_term(host):
    """Mixed labels are 0 or 1 only there."""
    anchors, candidates = vectors(1, 2)
    cosines = normalize(anchors, dim=1) @ normalize(candidates, dim=1).T
    if isinstance(host, ContrastiveHost):
        terms = -cosines[0, 0], (cosines[0, 1] + 0.9).clamp(min=0)
    else:
        terms = softplus(-2 * (cosines[0, 0] - 0.4)) / 2, softplus(3 * (cosines[0, 1] - 0.4)) / 3
    for share, mixed in ((1.0, terms[0]), (0.0, terms[1])):
        made = GivenShare(first="positive", count=1, share=share)
        form = Composition(criterion=MixedPairs(host=host, weight=0.4), synthesis=made)
        torch.testing.assert_close(
            Objective(form)(anchors, candidates, diagonal(1, 2)), terms[0] + terms[1] + 0.4 * mixed
        )


def test_each_call_mixes_with_the_positive_or_with_the_anchor():
    problem = make_problem("test", *vectors(3, 5), diagonal(3, 5))
    with_anchor = [Mix(first="either").draw(problem, Draws(seed).generator())[0] is None for seed in range(40)]
    assert 8 < sum(with_anchor) < 32


def test_mochi_without_mixtures_is_moco():
    pair = MoCHi(temperature=0.1, mixed=0, mixed_with_query=0, queue=6), MoCo(temperature=0.1, size=6, keys="given")
    for seed in range(3):
        sides = vectors(3, 5, seed=seed)
        known = replace(diagonal(3, 5), candidate_ids=torch.arange(5) + 10 * (seed + 1))
        torch.testing.assert_close(*(objective(*sides, known) for objective in pair))


def test_the_negative_is_the_larger_part_of_a_mixture_with_the_query():
    problem = make_problem("test", *vectors(3, 9), diagonal(3, 9))
    share = Mix(first="anchor", count=200, ceiling=0.5).draw(problem, Draws(0).generator())[2]
    assert 0 <= share.min() < 0.02
    assert 0.48 < share.max() <= 0.5


def test_mixing_alone_makes_negatives_harder_and_mixing_with_the_query_much_more():
    """Measured numbers: one query in 64 dimensions, mixtures of the 256 nearest of 4096 random keys."""
    (query,), (keys,) = vectors(1, dim=64), vectors(4096, dim=64, seed=1)
    problem = make_problem("test", query, keys, relation([[None] * 4096]))
    sides = [normalize(side, dim=1) for side in (query, keys)]
    problem = replace(problem, anchors=sides[0], candidates=sides[1])
    cosines = (sides[0] @ sides[1].T)[0]
    hardest = cosines.topk(256).values
    assert hardest.mean().item() == pytest.approx(0.249, abs=0.03)

    def made(**given):
        after = Mix(hardest=256, count=1024, **given)
        columns = after.apply(problem, Memory({"": Draws(0)})).candidates[4096:]
        return (sides[0] @ columns.T)[0]

    assert made().mean().item() == pytest.approx(0.305, abs=0.03)
    with_query = made(first="anchor", ceiling=0.5)
    assert with_query.mean().item() == pytest.approx(0.512, abs=0.04)
    assert (with_query > cosines.max()).double().mean().item() == pytest.approx(0.56, abs=0.15)


def test_coefficients_of_feature_transformation_are_in_range_and_the_second_ones_a_permutation():
    problem = make_problem("test", *vectors(50, 60), diagonal(50, 60))
    excess = ExtrapolatePositives().draw(replace(problem, logits=problem.grades), Draws(0).generator())
    assert ((excess > 0) & (excess < 1)).all()
    for seed in range(20):
        share, order = InterpolateNegatives().draw(problem, Draws(seed).generator())
        assert 0 < share < 1
        assert order.sort().values.tolist() == list(range(60))


def test_labels_of_mixtures_are_exact():
    """Vectors whose first number is their label: what is mixed shows its label there."""
    labels = torch.tensor([0.0, 1.0, 2.0, 4.0, 9.0, 2.5], **FLOAT)
    sides = [torch.cat([labels[:, None], side], dim=1).requires_grad_() for side in vectors(6, 6)]
    problem = LabelledSides().apply(make_problem("test", *sides, diagonal(6), labels=labels), Memory({}))
    both, memory = torch.cat([labels, labels])[:, None], Memory({"": Draws(0)})
    around = MixAroundLabels(count=4, window=2.5, renormalise=False).apply(problem, memory)
    mine = around.positive[:, 12:]
    assert mine.any(dim=1).tolist() == [False, True, True, False, False, True] * 2
    found = around.candidates[None, 12:, 0].expand(12, -1)
    torch.testing.assert_close(found[mine], both.expand_as(found)[mine])
    towards = MixTowardsLabels(count=4, renormalise=False).apply(problem, memory)
    mine = towards.negative[:, 12:]
    distance = (towards.candidates[None, 12:, 0] - both).abs()
    torch.testing.assert_close(-towards.grades[:, 12:][mine], distance[mine])
    assert not mine[:, ~mine.any(dim=0)].any()
    for made in (around, towards):
        (reached,) = torch.autograd.grad(made.candidates[12:].sum() + 0 * sides[0].sum(), sides[:1])
        assert torch.count_nonzero(reached) == 0
        assert (made.origins[12:] == Origin.MIXED).all()


# Weights by a partner


def test_two_partners_that_exchange_their_vectors_keep_their_common_loss():
    known = relation([[1, 0, None], [None, 1, 0]])
    models, objective = [vectors(2, 3, seed=seed) for seed in (0, 1)], Propensity()

    def together(one, other):
        pairs = ((one, other), (other, one))
        return sum(objective(*own, known, teacher=5 * partner[0] @ partner[1].T) for own, partner in pairs)

    torch.testing.assert_close(together(*models), together(*reversed(models)))
    alone = [objective(*own, known, teacher=5 * own[0] @ own[1].T) for own in models]
    assert not torch.allclose(together(*models), sum(alone))


def test_an_unbounded_weight_of_a_logit_of_twenty():
    known, teacher = relation([[1, 0]]), torch.tensor([[7.0, 20.0]], **FLOAT)
    (seen,) = InfoNCE().outcome(*vectors(1, 2), known, teacher=teacher).problems
    unbounded = InversePropensity(maximum=None, normalised=False).apply(seen, Memory({})).importance
    assert unbounded.item() == pytest.approx(22027, abs=1)
    other = replace(seen, teacher=torch.tensor([[-7.0, 20.0]], **FLOAT))  # of the negative alone
    torch.testing.assert_close(
        InversePropensity(maximum=None, normalised=False).apply(other, Memory({})).importance, unbounded
    )


# A column that nobody may use

UNSEEN = (
    "SelfAdversarial",
    "ProtoTriplet",
    "GaussianPrototype",
    "CACR",
    "SogCLR",
    "ISogCLR",
    "SOAP",
    "SONG",
    "SONG(top=1)",
    "Alignment",
    "Uniformity",
    "ContrastiveGap(temperature=0.2)",
    "BarlowTwins",
    "MixedBarlowTwins",
    "VICReg",
    "Pearson(unjudged=negative)",
    "CoDiEmbSTS",
    "MarginMSE",
    "DualTeacher",
    "SimSiam",
    "DirectPred",
    "LearnedWeight",
    "Propensity",
    "MoCHi",
    "HardMix",
    "Metrix",
    "PositiveExtrapolation",
    "Adversarial",
)
GRADES = [[2, 0, 1, None], [None, 3, None, 0], [1, None, 2, None]]


@pytest.mark.parametrize("name", UNSEEN)
def test_a_column_that_nobody_may_use_changes_neither_loss_nor_gradient(name):
    anchors, candidates = (side.requires_grad_() for side in vectors(3, 5))
    teacher = vectors(3, dim=5, seed=1)[0]
    found = []
    for size in (4, 5):
        ignored = [(row, 4) for row in range(3)] if size == 5 else ()
        known = relation([[*row, None][:size] for row in GRADES], ignored=ignored)
        every = {"teacher": teacher[:, :size], "index": torch.arange(3), "labels": torch.tensor([0, 1, 0])}
        objective = parse(name).double()
        inputs = {key: every[key] for key in objective.needs}
        objective(anchors, candidates[:size], known, **inputs)  # a step before it, for those that remember
        loss = objective(anchors, candidates[:size], known, **inputs)
        found.append((loss, torch.autograd.grad(loss, anchors)[0]))
    torch.testing.assert_close(*found)
    assert found[0][1].abs().max() > 0
