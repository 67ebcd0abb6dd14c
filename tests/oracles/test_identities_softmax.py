"""What the specification of rows, pairs and counts says beside its equations, one named identity a test."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy, cross_entropy, normalize, softplus

from nearfar.objectives import Composition, Objective, catalogue, parse
from nearfar.objectives.criteria.all_rows import AllRows
from nearfar.objectives.criteria.pairwise import Pairwise
from nearfar.objectives.criteria.pointwise import Pointwise
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.masking.guide import GuideMask
from nearfar.objectives.memory import Memory
from nearfar.objectives.weights.hardness import Hardness
from nearfar.objectives.weights.positives import HarderPositives
from nearfar.objectives.weights.temperature_penalty import TemperaturePenalty
from nearfar.types import Origin
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import scored

GOLDEN = torch.tensor([[0.8, 0.7, 0.1], [0.2, 0.6, 0.5], [0.65, 0.3, 0.9]], dtype=torch.float64)
SEVERAL = relation([[1, 1, None, None], [None, 1, None, None], [None, None, None, 1]], ignored=[(0, 3)])
SOME = settings(max_examples=15, deadline=None)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scores_of(text, scores, known, **inputs):
    """Row losses of an objective of dot products whose scores are given."""
    return parse(text).double().rows(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known, **inputs)


def rows_of(criterion, scores, known, **fields):
    return criterion.outcome(replace(scored(scores, known), **fields), Memory({}))


# The master row, and what shifts with a row


@SOME
@given(seed=st.integers(0, 1000))
def test_the_denominators_are_sup_con_the_decoupled_softmax_and_dcl(seed):
    z = numbers(3, 4, seed=seed)
    found = {flags: rows_of(Softmax(own=flags[0], others=flags[1]), z, SEVERAL).losses for flags in FLAGS}
    positives = [([0, 1], [2]), ([1], [0, 2, 3]), ([3], [0, 1, 2])]
    for i, (own, negatives) in enumerate(positives):
        mass = {place: z[i, place].exp() for place in range(4)}
        rest, all_own = sum(mass[n] for n in negatives), sum(mass[p] for p in own)
        by_hand = {
            (True, True): [-(mass[p] / (all_own + rest)).log() for p in own],
            (True, False): [-(mass[p] / (mass[p] + rest)).log() for p in own],
            (False, False): [-(mass[p] / rest).log() for p in own],
            (False, True): [-(mass[p] / (all_own - mass[p] + rest)).log() for p in own],
        }
        for flags, terms in by_hand.items():
            torch.testing.assert_close(found[flags][i], sum(terms) / len(terms))
    info_nce = cross_entropy(z[2:], torch.tensor([3]))
    torch.testing.assert_close(found[True, True][2], info_nce)
    torch.testing.assert_close(found[True, False][2], info_nce)


FLAGS = [(True, True), (True, False), (False, False), (False, True)]


def test_a_log_weight_on_a_logit_multiplies_its_exponential():
    found = scores_of("Composition(criterion=Softmax, similarity=dot, weights=[Hardness(strength=9.0)])", GOLDEN, EYE)
    weighted = torch.where(torch.eye(3, dtype=torch.bool), 1.0, (9 * GOLDEN).exp()) * GOLDEN.exp()
    torch.testing.assert_close(found, weighted.sum(dim=1).log() - GOLDEN.diagonal())


EYE = diagonal(3)


@pytest.mark.parametrize(
    ("text", "notices"),
    [
        ("Composition(criterion=Softmax(prior=0.05), similarity=dot, logits=Temperature(temperature=0.5))", False),
        ("Composition(criterion=Softmax(prior=0.9), similarity=dot, logits=Temperature(temperature=0.5))", True),
        ("Composition(criterion=Softmax, similarity=dot, weights=PooledPairs)", True),
        ("Composition(criterion=AllRows, similarity=dot)", True),
        ("Composition(criterion=Pointwise, similarity=dot, logits=LearnedTemperature(initial=0.1, bias=-1.0))", True),
    ],
    ids=["debiased", "debiased at its floor", "pooled pairs", "all rows", "with a bias"],
)
def test_what_does_not_shift_with_a_row_notices_a_constant(text, notices):
    """The pool is made of the anchors, so they must stay as they are: the constant comes in by a column of ones."""
    objective, columns = parse(text).double(), torch.eye(3, 4, dtype=torch.float64)
    anchors = torch.cat([GOLDEN, torch.zeros(3, 1, dtype=torch.float64)], dim=1)
    moved = columns + torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    shifted = torch.cat([GOLDEN, torch.tensor([[0.2], [-0.3], [0.1]], dtype=torch.float64)], dim=1)
    before, after = objective(anchors, moved, EYE), objective(shifted, moved, EYE)
    assert (abs(before - after) > 1e-3) == notices
    if not notices:
        torch.testing.assert_close(before, after)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("others", [True, False])
def test_a_row_without_further_mass_has_a_gradient_that_adds_up_to_zero_and_one_with_it_has_not(own, others):
    for extra in (None, torch.zeros(3, 1, dtype=torch.float64)):
        z = numbers(3, 4).requires_grad_()
        rows_of(Softmax(own=own, others=others), z, SEVERAL, extra=extra).losses.sum().backward()
        assert bool((z.grad.sum(dim=1).abs() < 1e-12).all()) == (extra is None)


# Softmax rows


def test_with_positives_at_one_place_and_negatives_far_away_the_decoupled_softmax_is_zero():
    places = torch.eye(2, 6, dtype=torch.float64)
    anchors, candidates = places, places.repeat_interleave(3, dim=0)
    known = relation([[1, 1, 1, None, None, None], [None, None, None, 1, 1, 1]])
    assert parse("DecoupledSoftmax(temperature=0.01)")(anchors, candidates, known).item() < 1e-40
    joined = Objective(Composition(criterion=Softmax(others=True), logits=(Temperature(temperature=0.01),)))
    assert joined(anchors, candidates, known).item() == pytest.approx(math.log(3))


def test_dcl_can_fall_below_zero_and_a_weight_of_a_positive_too():
    anchors = torch.eye(3, dtype=torch.float64)
    assert parse("DCL(temperature=0.01)")(anchors, anchors, EYE).item() < -50
    scores = torch.tensor([[1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0]], dtype=torch.float64)
    weights = HarderPositives(sigma=0.5).apply(scored(scores, EYE), Memory({})).attraction.diagonal()
    assert weights.min() < 0
    assert weights.mean().item() == pytest.approx(1)


@SOME
@given(seed=st.integers(0, 1000))
def test_mw_with_the_negatives_of_one_row_is_rank_net(seed):
    z = numbers(1, 5, seed=seed)
    known = relation([[1, 1, None, None, None]])
    torch.testing.assert_close(rows_of(AllRows(), z, known).losses, rows_of(Pairwise(), z, known).losses)


def test_golden_area_above_the_curve_of_all_rows_and_of_each():
    own = torch.eye(3, dtype=torch.bool)
    loss = rows_of(AllRows(), GOLDEN, EYE, logits=GOLDEN / 0.1).loss.item()
    wrong = (GOLDEN[~own][None, :] > GOLDEN[own][:, None]).double().mean().item()
    assert loss == pytest.approx(0.1931, abs=5e-5)
    assert wrong == pytest.approx(1 / 9)
    assert wrong <= loss / math.log(2) == pytest.approx(0.2785, abs=1e-4)
    assert (GOLDEN.diagonal() == GOLDEN.amax(dim=1)).all()  # within its own row every positive is first


@SOME
@given(seed=st.integers(0, 1000), beta=st.sampled_from([0.5, 1.0, 4.0]))
def test_the_mass_of_hcl_in_log_space(seed, beta):
    z = numbers(3, 5, seed=seed)
    problem = Hardness(strength=beta, of="logit", normalised=True, detach=False).apply(scored(z, DIAGONAL), Memory({}))
    negative = problem.negative
    found = torch.logsumexp((problem.z + problem.bias).masked_fill(~negative, -math.inf), dim=1)
    rest = [z.masked_fill(~negative, -math.inf) * factor for factor in (1 + beta, beta)]
    torch.testing.assert_close(found, math.log(4) + torch.logsumexp(rest[0], 1) - torch.logsumexp(rest[1], 1))
    harder = torch.where(negative, (beta * z).exp(), 0.0)
    linear = (harder * z.exp()).sum(dim=1) / (harder.sum(dim=1) / 4)
    torch.testing.assert_close(found.exp(), linear)


DIAGONAL = diagonal(3, 5)


def test_the_floor_of_cwcl_is_reached_where_the_softmax_is_the_target():
    teacher = 2 * torch.rand(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    shares = (1 + teacher) / (1 + teacher).sum(dim=1, keepdim=True)
    forth = parse("CWCL(weights_from=teacher)").form.form.terms[0].criterion
    found = rows_of(forth, shares.log(), EYE, teacher=teacher).losses
    torch.testing.assert_close(found, -(shares * shares.log()).sum(dim=1))


def test_a_foil_is_a_softmax_of_two_and_not_a_mean_over_all_pairs_of_the_batch():
    anchors, texts, foils = (normalize(numbers(3, 5, seed=seed), dim=1) for seed in range(3))
    grades = [[1 if j == i else 0 if j == 3 + i else None for j in range(6)] for i in range(3)]
    known = relation(grades, origins=[Origin.IN_BATCH] * 3 + [Origin.HARD] * 3)
    found = parse("Counterfactual(temperature=0.5)").rows(anchors, torch.cat([texts, foils]), known)
    right, wrong = (anchors @ side.T / 0.5 for side in (texts, foils))
    two = torch.stack([right.diagonal(), wrong.diagonal()], dim=1)
    torch.testing.assert_close(found, cross_entropy(two, torch.zeros(3, dtype=torch.int64), reduction="none"))
    torch.testing.assert_close(found, softplus(two[:, 1] - two[:, 0]))
    assert abs(found.mean() - softplus(wrong - right).mean()) > 1e-3


def test_real_and_mixed_columns_of_sup_re_mix_share_one_log_sum():
    sides, labels = [numbers(5, 6, seed=seed) for seed in (0, 1)], torch.tensor([1.0, 2.0, 3.0, 4.0, 2.0])
    outcome = parse("SupReMix(temperature=0.1, negatives=2, positives=2)").outcome(*sides, EYES, labels=labels)
    problem = outcome.problems[0]
    logits = torch.where(problem.negative, problem.z + problem.bias, problem.z)
    logits = logits.masked_fill(~problem.valid, -math.inf)
    number = problem.positive.sum(dim=1).clamp(min=1)

    def rows(shifts):
        """With what is subtracted from the real and from the mixed columns of each row."""
        moved = torch.cat([logits[:, :10] - shifts[0][:, None], logits[:, 10:] - shifts[1][:, None]], dim=1)
        pulled = torch.where(problem.positive, moved - torch.where(problem.negative, problem.bias, 0.0), 0.0)
        return torch.logsumexp(moved, dim=1) - pulled.sum(dim=1) / number

    real, mixed = logits[:, :10].amax(dim=1), logits[:, 10:].amax(dim=1)
    both = torch.maximum(real, mixed)
    kept = problem.positive.any(dim=1)
    torch.testing.assert_close(outcome.loss, rows((both, both))[kept].mean())
    assert abs(outcome.loss - rows((real, mixed))[kept].mean()) > 1e-3


EYES = diagonal(5)


@SOME
@given(seed=st.integers(0, 1000), temperature=st.floats(0.05, 2))
def test_a_similarity_over_a_temperature_with_its_penalty_is_a_gaussian_likelihood(seed, temperature):
    one, other = normalize(numbers(2, 6, seed=seed), dim=1)
    part = TemperaturePenalty(weight=1.0)
    parts = {"criterion": Softmax(), "logits": (Temperature(temperature=temperature),)}
    plain, priced = (
        Objective(Composition(**parts, weights=weights)).rows(one[None], other[None], diagonal(1))
        for weights in ((), (part,))
    )
    gaussian = torch.distributions.MultivariateNormal(one, temperature * torch.eye(6, dtype=torch.float64))
    likelihood = gaussian.log_prob(other) + 6 / 2 * math.log(2 * math.pi)
    torch.testing.assert_close((priced - plain)[0] - one @ other / temperature, -likelihood)


# Pairs on their own


@SOME
@given(seed=st.integers(0, 1000))
def test_slopes_of_siglip_in_its_scores(seed):
    scores = numbers(3, 3, seed=seed).requires_grad_()
    objective = parse("Composition(criterion=Pointwise, similarity=dot, logits=[LearnedTemperature(bias=-2.0)])")
    objective.double()(scores, torch.eye(3, dtype=torch.float64), EYE).backward()
    scale = math.exp(objective.memory["logits_0"].log_scale.item())
    wrong = torch.sigmoid(scale * scores.detach() - 2) - torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(scores.grad, scale * wrong / 3)


def test_pairs_of_siglip_are_independent_so_that_columns_and_rows_can_come_in_pieces():
    anchors, candidates, objective = numbers(4, 5), numbers(6, 5, seed=1), parse("SigLIP(bias=-1.0)").double()
    known = diagonal(4, 6)
    seen = objective.outcome(anchors, candidates, known)
    logits = seen.problems[0].z
    for column in (4, 5):
        shut = objective.rows(anchors, candidates, diagonal_without(column))
        torch.testing.assert_close(seen.losses - shut, softplus(logits[:, column]))
    halves = [[[1 if j == i else None for j in range(6)] for i in rows] for rows in (range(2), range(2, 4))]
    each = [objective(anchors[2 * k : 2 * k + 2], candidates, relation(half)) for k, half in enumerate(halves)]
    torch.testing.assert_close(sum(each) / 2, seen.loss)


def diagonal_without(column):
    grades = [[1 if i == j else None for j in range(6)] for i in range(4)]
    return relation(grades, ignored=[(i, column) for i in range(4)])


def test_without_its_bias_siglip_starts_at_log_two_for_every_pair():
    vectors = torch.eye(8, dtype=torch.float64)
    losses = parse("SigLIP(bias=0.0)").double().rows(vectors[:4], vectors[4:], diagonal(4))
    assert losses.tolist() == pytest.approx([4 * math.log(2)] * 4)


@SOME
@given(seed=st.integers(0, 1000))
def test_soft_targets_of_pairs_pull_a_probability_to_its_grade(seed):
    z, grades = numbers(3, 3, seed=seed).requires_grad_(), torch.sigmoid(numbers(3, 3, seed=seed + 1))
    criterion = Pointwise(reduction="columns", targets="grades")
    loss = rows_of(criterion, z, EYE, grades=grades).loss
    loss.backward()
    torch.testing.assert_close(loss.detach(), binary_cross_entropy(torch.sigmoid(z.detach()), grades))
    torch.testing.assert_close(z.grad, (torch.sigmoid(z.detach()) - grades) / 9)


def test_memberships_are_symmetric_and_below_one():
    guide = [numbers(4, 3, seed=seed) for seed in (2, 3)]
    inputs = dict(zip(("guide_anchors", "guide_candidates"), guide, strict=True))
    problem = parse("SoftContrast").double().outcome(numbers(4, 5), numbers(4, 5, seed=1), FOUR, **inputs).problems[0]
    for near in (problem.grades, torch.sigmoid(problem.z)):
        torch.testing.assert_close(near, near.T)
        assert ((near >= 0) & (near < 1)).all()


FOUR = diagonal(4)


# Counts


def test_sure_decisions_make_dice_of_a_batch_one_less_f1_which_the_mean_over_pairs_is_not():
    scores = torch.tensor([[60.0, 60, -60], [-60, -60, 60], [60, -60, -60]], dtype=torch.float64)
    known = relation([[1, 0, 1], [0, 1, 0], [1, 0, 0]])  # 2 hits, 2 misses, 2 alarms
    for form in ("self_adjusting", "squared"):
        whole = scores_of(f"Dice(form={form}, level=batch, smoothing=1e-9)", scores, known)
        assert whole.tolist() == pytest.approx([1 - 2 * 2 / (2 * 2 + 2 + 2)] * 3)
        pairs = scores_of(f"Dice(form={form}, smoothing=1e-9)", scores, known)
        assert pairs.tolist() == pytest.approx([2 / 3, 2 / 3, 0])


@pytest.mark.parametrize("form", ["self_adjusting", "squared", "tversky"])
@pytest.mark.parametrize("level", ["pairs", "batch"])
def test_dice_of_right_and_sure_decisions_is_zero(form, level):
    scores = torch.tensor([[60.0, -60], [-60, 60]], dtype=torch.float64)
    assert scores_of(f"Dice(form={form}, level={level})", scores, diagonal(2)).tolist() == pytest.approx([0, 0])


def test_sharp_decisions_of_any_loss_where_they_are_sure_have_no_gradient_in_single_precision():
    def decided(p, sharpness=73.0, dtype=torch.float32):
        return torch.sigmoid(torch.tensor(sharpness, dtype=dtype) * (torch.tensor(p, dtype=dtype) - 0.5)).item()

    assert decided(0.73) == 1.0 > decided(0.725)
    assert 0 < decided(0.26) < decided(0.27) < 1e-7
    assert decided(1.0, 74.0, torch.float64) == 1.0 > decided(1.0, 73.0, torch.float64)
    for p, some in ((0.73, False), (0.6, True), (0.26, True)):
        scores = torch.tensor([[math.log(p / (1 - p)), 0.0]], requires_grad=True)
        parse("AnyLoss")(scores, torch.eye(2), relation([[1, 0]])).backward()
        assert (scores.grad[0, 0] != 0) == some


def test_by_default_ens_loss_never_draws_another_shape():
    criterion = parse("EnsLoss").form.form.criterion
    assert {criterion._power(calls) for calls in (0, 1, 10**6)} == {0.0}
    assert criterion._power(5) != parse("EnsLoss(period=1)").form.form.criterion._power(5)


@SOME
@given(seed=st.integers(0, 1000))
def test_slopes_of_ens_loss_rise_towards_zero_beyond_a_margin_of_one_too(seed):
    margins = torch.linspace(-2, 6, 16, dtype=torch.float64).reshape(2, 8).requires_grad_()
    scores_of(f"EnsLoss(seed={seed})", margins, relation([[1] * 8] * 2)).sum().backward()
    slopes = margins.grad.flatten()
    assert (slopes < 0).all()
    assert (slopes.diff() >= -1e-12).all()


# Masks by a guide


def left_by(cosines, **fields):
    """Which columns are left where the guide sees these cosines, the first of them that of the positive."""
    towards = torch.tensor(cosines, dtype=torch.float64)
    columns = torch.stack([towards, (1 - towards.square()).sqrt()], dim=1)
    known = diagonal(1, len(cosines))
    problem = replace(
        scored(torch.zeros(known.shape, dtype=torch.float64), known),
        guide_anchors=torch.tensor([[1.0, 0.0]], dtype=torch.float64),
        guide_candidates=columns,
    )
    return GuideMask(**fields).apply(problem, Memory({})).valid[0].tolist()


@pytest.mark.parametrize(
    ("positive", "fields", "threshold"),
    [
        (0.8, {"margin": 0.05, "margin_strategy": "relative"}, 0.76),
        (-0.2, {"margin": 0.05, "margin_strategy": "relative"}, -0.21),
        (0.8, {"margin": 0.05}, 0.75),
        (-0.2, {"margin": 0.05}, -0.25),
        (0.8, {"margin": -0.1}, 0.9),
    ],
)
def test_golden_thresholds_of_a_guide(positive, fields, threshold):
    assert left_by([positive, threshold - 1e-9, threshold + 1e-9], **fields) == [True, True, False]


def test_golden_row_keeps_all_of_its_negatives():
    for fields in ({"margin": -0.1}, {"margin": 0.05, "margin_strategy": "relative"}):
        assert left_by(GOLDEN[0].tolist(), **fields) == [True, True, True]


# What holds for all of these objectives

PAIRS = [
    "SigLIP",
    "SFT",
    "SFT(weighting=softmax)",
    "NoisyLabel(flips=given)",
    "MultiFocal",
    "PositiveUnlabelled",
    "LabelCorrelation(correlation_form=agreement)",
    "Dice",
    "Dice(level=batch)",
    "AnyLoss(sharpness=5.0)",
    "ZLoss",
    "NormFace",
    "CosFace",
    "ArcFace",
    "UNPG",
    "LDR",
    "LDR(normalise=true)",
    "ALDR",
    "CompSum",
]


@pytest.mark.parametrize("text", PAIRS)
def test_a_column_that_is_ignored_changes_neither_loss_nor_gradient(text):
    anchors, candidates, teacher = numbers(3, 6), numbers(5, 6, seed=1), numbers(3, 5, seed=2)
    grades = [[1, 0, 1, None], [None, 1, None, 0], [1, None, 1, None]]
    wider = relation([[*row, None] for row in grades], ignored=[(0, 4), (1, 4), (2, 4)])
    found = []
    for size, known in ((4, relation(grades)), (5, wider)):
        one = anchors.clone().requires_grad_()
        objective = parse(text).double()
        every = {"teacher": teacher[:, :size], "index": torch.arange(3)}
        loss = objective(one, candidates[:size], known, **{name: every[name] for name in objective.needs})
        found.append((loss, torch.autograd.grad(loss, one)[0]))
    torch.testing.assert_close(*found)
    assert found[0][1].abs().max() > 0


FAMILIES = ("softmax row", "pointwise", "synthesis")
COLD = [
    entry.name
    for entry in catalogue()
    if entry.family in FAMILIES and "temperature" in entry.defaults and not {"minimum"} & set(entry.defaults)
]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", COLD)
def test_half_precision_at_a_cosine_of_one_and_a_low_temperature_is_finite(name, dtype):
    sides = [torch.ones(size, 4, dtype=dtype, requires_grad=True) for size in (3, 4)]
    objective = parse(f"{name}(temperature=0.01)")
    generator = torch.Generator().manual_seed(0)
    every = {
        "guide_anchors": torch.randn(3, 4, generator=generator),
        "guide_candidates": torch.randn(4, 4, generator=generator),
        "teacher": torch.randn(3, 4, generator=generator),
        "labels": torch.arange(3),
        "index": torch.arange(3),
    }
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(*sides, diagonal(3, 4), **{key: every[key] for key in objective.needs})
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert all(side.grad is None or torch.isfinite(side.grad).all() for side in sides)
