"""What the equations of the softmax-row family imply: limits, closed forms of gradients, floors, golden numbers."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import log_softmax, normalize, softplus

from nearfar.objectives import parse
from nearfar.objectives.criteria.outer import FocalPower
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.memory import Memory
from nearfar.objectives.weights.positives import HarderPositives
from nearfar.types import Origin
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import cases, scored

GOLDEN = torch.tensor([[0.8, 0.7, 0.1], [0.2, 0.6, 0.5], [0.65, 0.3, 0.9]], dtype=torch.float64)
SOME = settings(max_examples=15, deadline=None)


def vectors(*shape, seed=0, dim=5):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in shape]


def by_scores(text, scores, known, **inputs):
    """An objective on given similarities. Cosines of vectors that have them, as far as a matrix can be one."""
    objective = parse(text).double()
    width = scores.shape[1]
    anchors = torch.cat([scores, (1 - scores.square().sum(dim=1, keepdim=True)).clamp(min=0).sqrt()], dim=1)
    return objective.outcome(anchors, torch.eye(width + 1, dtype=scores.dtype)[:width], known, **inputs)


@settings(max_examples=20, deadline=None)
@given(case=cases(most=4), own=st.booleans(), others=st.booleans(), seed=st.integers(0, 99))
def test_the_gradient_of_a_master_row_is_shares_less_positives(case, own, others, seed):
    generator = torch.Generator().manual_seed(seed)
    rows, columns = case.known.shape
    scores = torch.randn(rows, columns, generator=generator, dtype=torch.float64).requires_grad_()
    bias = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    problem = replace(scored(scores, case.known), bias=bias)
    outcome = Softmax(own=own, others=others).outcome(problem, Memory({}))
    outcome.losses.sum().backward()
    z = scores.detach()
    expected = torch.zeros_like(z)
    for i in range(rows):
        positives = problem.positive[i].nonzero()[:, 0].tolist()
        for p in positives if outcome.kept[i] else []:
            mass = torch.where(problem.negative[i], (z[i] + bias[i]).exp(), 0.0)
            for q in positives:
                mass[q] = z[i, q].exp() * (own if q == p else others)
            expected[i] += (mass / mass.sum() - torch.eye(columns, dtype=z.dtype)[p]) / len(positives)
    torch.testing.assert_close(scores.grad, expected)
    assert scores.grad.sum(dim=1).abs().max() < 1e-12
    moved = replace(problem, logits=z + torch.randn(rows, 1, generator=generator, dtype=z.dtype))
    torch.testing.assert_close(Softmax(own=own, others=others).outcome(moved, Memory({})).losses, outcome.losses)


@pytest.mark.parametrize("shift", [-0.2, 0.1])
def test_a_constant_added_to_a_row_changes_only_what_compares_rows(shift):
    moved = GOLDEN / 2
    moved[1] += shift / 2
    origins = [Origin.IN_BATCH, Origin.IN_BATCH, Origin.HARD]
    known = relation([[1, None, 0], [0, 1, 0], [1, None, 1]], origins=origins)
    weights = torch.ones(3, 3, dtype=torch.float64)
    same = ["InfoNCE", "DecoupledSoftmax", "Focal", "SoftTopK(k=2)", "Counterfactual", "ColloSSL"]
    for text in [*same, "BagInstance(similarity=cosine, directions=query_to_document)"]:
        before, after = (by_scores(text, scores, known, teacher=weights).losses for scores in (GOLDEN / 2, moved))
        torch.testing.assert_close(after, before)
    before, after = (by_scores("MW(temperature=0.1)", scores, known).loss for scores in (GOLDEN / 2, moved))
    assert abs(before - after) > 1e-3


def test_private_hard_negatives_of_mw_are_those_of_the_row():
    anchors, candidates = vectors(2, 4)
    origins = [Origin.IN_BATCH] * 2 + [Origin.HARD] * 2
    known = relation([[1, None, 0, None], [None, 1, None, 0]], origins=origins)
    shut = relation([[1, None, 0, None], [None, 1, None, 0]], origins=origins, ignored=[(0, 3), (1, 2)])
    private = parse("MW(hard=private)")(anchors, candidates, known)
    torch.testing.assert_close(private, parse("MW")(anchors, candidates, shut))
    assert private != parse("MW")(anchors, candidates, known)


def test_dcl_is_the_softplus_away_from_infonce_and_pulls_evenly():
    scores = GOLDEN.clone().requires_grad_()
    problem = scored(scores, diagonal(3))
    decoupled = Softmax(own=False).outcome(problem, Memory({})).losses
    torch.testing.assert_close(softplus(decoupled), Softmax().outcome(problem, Memory({})).losses)
    decoupled.sum().backward()
    torch.testing.assert_close(scores.grad.diagonal(), -torch.ones(3, dtype=torch.float64))


@SOME
@given(seed=st.integers(0, 1000))
def test_weights_of_harder_positives_have_mean_one(seed):
    scores = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    known = relation([[1, 1, None, None, None, None], *[[None] * i + [1] + [None] * (5 - i) for i in (1, 2, 3)]])
    problem = HarderPositives().apply(scored(scores, known), Memory({}))
    each = [problem.attraction[i][problem.positive[i]].mean() for i in range(4)]
    assert sum(each).item() / 4 == pytest.approx(1, abs=1e-12)


def test_positives_that_are_equally_near_are_pulled_equally():
    scores = torch.full((3, 3), 0.2, dtype=torch.float64) + 0.5 * torch.eye(3, dtype=torch.float64)
    problem = HarderPositives().apply(scored(scores, diagonal(3)), Memory({}))
    torch.testing.assert_close(problem.attraction, torch.ones_like(scores))


def test_sup_con_inside_is_below_outside_and_the_floor_is_the_log_of_the_positives():
    inside, outside = (parse(f"SupCon(form={form})") for form in ("inside", "outside"))
    known = relation([[1, 1, None], [None, 1, None], [None, None, 1]])
    anchors, candidates = vectors(3, 3)
    assert inside(anchors, candidates, known) <= outside(anchors, candidates, known)
    same = torch.eye(2, 6, dtype=torch.float64).repeat_interleave(2, dim=0)
    classes = relation([[1, 1, None, None]] * 2 + [[None, None, 1, 1]] * 2)
    floor = parse("SupCon(temperature=0.01)")(same, same, classes)
    assert floor.item() == pytest.approx(math.log(3), abs=1e-9)


def test_no_positive_is_pushed_by_another_one_of_its_row():
    scores = GOLDEN.clone().requires_grad_()
    known = relation([[1, 1, None], [None, 1, None], [None, None, 1]])
    shares = torch.zeros(3, 3, dtype=torch.float64)
    shares[0, 0] = 1
    outcome = Softmax().outcome(replace(scored(scores, known), shares=shares), Memory({}))
    outcome.losses[0].backward()
    assert scores.grad[0, 1] == 0
    assert scores.grad[0, 0] != 0


NEUTRAL = {
    "HCL(beta=0.0)": "Debiased",
    "HCL(beta=0.0, tau_plus=0.0)": "NTXent",
    "Debiased(tau_plus=0.0)": "NTXent",
    "Focal(gamma=0.0)": "InfoNCE",
    "HardnessWeighted(strength=0.0, temperature=0.07)": "InfoNCE(temperature=0.07, directions=symmetric)",
    "NPair(norm_penalty=0.0)": "InfoNCE(temperature=1.0, similarity=dot)",
    "DecoupledSoftmax": "InfoNCE",
    "ColloSSL": "InfoNCE",
    "BagInstance(directions=query_to_document, temperature=0.05, similarity=cosine)": "InfoNCE",
    "GTE(hard_beside=nobody)": "GTE",
    "SupCon(temperature=0.5)": "NTXent",
    "MW(hard=private)": "MW",
}


@pytest.mark.parametrize("text", NEUTRAL)
def test_at_its_neutral_value_it_is_its_parent(text):
    anchors, candidates = vectors(5, 5)
    ones = torch.ones(5, 5, dtype=torch.float64)
    found = parse(text).double()(anchors, candidates, diagonal(5), teacher=ones)
    expected = parse(NEUTRAL[text]).double()(anchors, candidates, diagonal(5))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_smoothing_of_zero_is_clip_and_the_gradient_is_softmax_less_the_target():
    anchors, candidates = vectors(4, 4)
    found = parse("Sample4Geo(label_smoothing=0.0)").double()(anchors, candidates, diagonal(4))
    torch.testing.assert_close(found, parse("CLIP").double()(anchors, candidates, diagonal(4)))
    scores = GOLDEN.clone().requires_grad_()
    outcome = Softmax(smoothing=0.1).outcome(scored(scores, diagonal(3)), Memory({}))
    outcome.loss.backward()
    target = 0.9 * torch.eye(3, dtype=torch.float64) + 0.1 / 3
    torch.testing.assert_close(scores.grad, (torch.softmax(GOLDEN, dim=1) - target) / 3)
    entropy = -(target * target.log()).sum(dim=1)
    assert (outcome.losses >= entropy).all()
    best = Softmax(smoothing=0.1).outcome(scored(target.log(), diagonal(3)), Memory({})).losses
    torch.testing.assert_close(best, entropy)


def test_at_a_great_concentration_all_negatives_are_the_hardest():
    anchors, candidates = (normalize(side, dim=1) for side in vectors(4, 4))
    both = torch.cat([anchors, candidates])
    found = parse("HCL(beta=2000.0, tau_plus=0.0)")(anchors, candidates, diagonal(4))
    scores = both @ both.T / 0.5
    pair = torch.eye(4, dtype=torch.bool).repeat(2, 2)
    hardest = scores.masked_fill(pair, -math.inf).amax(dim=1)
    positive = scores[torch.arange(8), (torch.arange(8) + 4) % 8]
    torch.testing.assert_close(found, softplus(math.log(6) + hardest - positive).mean())


def test_weights_of_hcl_carry_gradient_unless_detached_and_a_clamped_row_has_none():
    slopes = []
    for text in ("HCL(tau_plus=0.02)", "HCL(tau_plus=0.02, detach_weights=true)", "Debiased(tau_plus=0.9)"):
        sides = [side.requires_grad_() for side in vectors(4, 4)]
        parse(text)(*sides, diagonal(4)).backward()
        slopes.append(sides[0].grad)
    assert (slopes[0] - slopes[1]).abs().max() > 1e-3
    problem = scored(GOLDEN.clone().requires_grad_(), diagonal(3))
    Softmax(prior=0.9).outcome(problem, Memory({})).loss.backward()
    off = ~torch.eye(3, dtype=torch.bool)
    assert (problem.similarity.grad[off] == 0).all()
    assert (problem.similarity.grad[~off] < 0).all()


def test_golden_factors_of_focal_and_its_gradient():
    for p, factor in ((0.9, 0.3162), (0.1, 0.9487)):
        surprise = torch.tensor([[-math.log(p)]], dtype=torch.float64, requires_grad=True)
        found = FocalPower(gamma=0.5).of(surprise)
        assert (found / surprise).item() == pytest.approx(factor, abs=5e-5)
        found.sum().backward()
        by_log_p = -((1 - p) ** 0.5) + 0.5 * p * (1 - p) ** -0.5 * math.log(p)
        assert -surprise.grad.item() == pytest.approx(by_log_p)
        surprise.grad = None
        FocalPower(gamma=0.5, detach=True).of(surprise).sum().backward()
        assert surprise.grad.item() == pytest.approx((1 - p) ** 0.5)


def test_the_gradient_of_a_hardness_weight_has_no_factor_of_its_strength():
    scores = GOLDEN.clone().requires_grad_()
    bias = torch.where(torch.eye(3, dtype=torch.bool), 0.0, 9 * GOLDEN)
    outcome = Softmax().outcome(replace(scored(scores, diagonal(3)), bias=bias), Memory({}))
    outcome.losses.sum().backward()
    torch.testing.assert_close(scores.grad, torch.softmax(GOLDEN + bias, dim=1) - torch.eye(3))


def test_a_soft_target_of_one_column_gives_both_halves_of_clip_and_an_even_one_the_mean_surprise():
    anchors, candidates = vectors(4, 4)
    sharp = 2 * torch.eye(4, dtype=torch.float64) - 1
    weighted = parse("CWCL(weights_from=teacher)")
    both = parse("InfoNCE(temperature=0.07, directions=symmetric)")(anchors, candidates, diagonal(4))
    torch.testing.assert_close(weighted(anchors, candidates, diagonal(4), teacher=sharp), 2 * both)
    scores = normalize(anchors, dim=1) @ normalize(candidates, dim=1).T / 0.07
    column = parse("InfoNCE(temperature=0.07)")(candidates, anchors, diagonal(4))
    even = weighted(anchors, candidates, diagonal(4), teacher=torch.zeros(4, 4, dtype=torch.float64))
    torch.testing.assert_close(even, -log_softmax(scores, dim=1).mean() + column)
    teacher = torch.rand(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = (1 + teacher) / 2
    shares = shares / shares.sum(dim=1, keepdim=True)
    assert weighted(anchors, candidates, diagonal(4), teacher=teacher) >= -(shares * shares.log()).sum() / 4


def test_a_foil_that_equals_the_text_costs_log_two():
    anchors, candidates = vectors(2, 2)
    known = relation([[1, None, 0], [None, 1, None]], origins=[Origin.IN_BATCH, Origin.IN_BATCH, Origin.HARD])
    same = torch.cat([candidates, candidates[:1]])
    outcome = parse("Counterfactual").outcome(anchors, same, known)
    assert outcome.kept.tolist() == [True, False]
    assert outcome.loss.item() == pytest.approx(math.log(2), abs=1e-12)


def test_equal_weights_of_a_bag_are_sup_con_inside_less_the_log_of_the_positives():
    problem = scored(GOLDEN, relation([[1, 1, None], [None, 1, None], [None, None, 1]]))
    pooled = Softmax(inside="sum").outcome(problem, Memory({})).losses
    mean = Softmax(inside="mean", others=True).outcome(problem, Memory({})).losses
    counts = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(pooled, mean - counts.log())


def test_a_bag_in_both_directions_cannot_fall_below_log_two():
    far_apart = 10 * torch.eye(4, dtype=torch.float64)
    assert parse("BagInstance")(far_apart, far_apart, diagonal(4)).item() == pytest.approx(math.log(2), abs=1e-9)
    assert parse("BagInstance")(*vectors(4, 4), diagonal(4)).item() > math.log(2)


def test_an_earlier_model_that_is_this_one_gives_the_value_of_sup_con_and_no_gradient_to_positives():
    anchors, candidates = (side.requires_grad_() for side in vectors(3, 3))
    known = relation([[1, 1, None], [None, 1, None], [None, None, 1]])
    found = parse("Coconut").outcome(anchors, candidates, known, guide_candidates=candidates.detach())
    scores = normalize(anchors, dim=1) @ normalize(candidates, dim=1).T / 0.1
    plain = Softmax(others=True).outcome(scored(scores, known), Memory({}))
    torch.testing.assert_close(found.losses, plain.losses)
    alone = relation([[1, None, None]])
    sides = [anchors[:1].detach().requires_grad_(), candidates.detach().requires_grad_()]
    parse("Coconut")(*sides, alone, guide_candidates=candidates.detach()).backward()
    assert (sides[1].grad[0] == 0).all()
    assert (sides[1].grad[1:] != 0).any()


def test_a_guide_that_finds_nothing_alike_leaves_three_blocks_and_never_raises_the_loss():
    anchors, candidates = vectors(4, 4, seed=2)
    apart = torch.eye(4, dtype=torch.float64)
    found = parse("GIST(temperature=0.1)")(
        anchors, candidates, diagonal(4), guide_anchors=apart, guide_candidates=apart
    )
    left, right = normalize(anchors, dim=1), normalize(candidates, dim=1)
    off = torch.eye(4, dtype=torch.bool)
    blocks = [left @ right.T, *((side @ side.T).masked_fill(off, -math.inf) for side in (left, right))]
    logits = torch.cat(blocks, dim=1) / 0.1
    plain = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    torch.testing.assert_close(found, plain)
    for seed in range(4):
        guide = dict(zip(("guide_anchors", "guide_candidates"), vectors(4, 4, seed=seed), strict=True))
        assert parse("GIST(temperature=0.1)")(anchors, candidates, diagonal(4), **guide) <= plain + 1e-12


def test_a_pair_without_penalty_is_infonce_on_dot_products_and_the_penalty_is_of_squared_norms():
    anchors, candidates = vectors(4, 4)
    plain, priced = (parse(f"NPair(norm_penalty={each})")(anchors, candidates, diagonal(4)) for each in (0.0, 0.1))
    norms = torch.cat([anchors, candidates]).square().sum(dim=1).mean()
    torch.testing.assert_close(priced - plain, 0.1 * norms)


@pytest.mark.parametrize(
    "text",
    [
        "InfoNCE",
        "DecoupledSoftmax",
        "SoftTopK(k=2)",
        "MW(temperature=0.1)",
        "Focal",
        "Sample4Geo",
        "HardnessWeighted(temperature=0.1)",
        "GIST(temperature=0.1, contrast_positives=false)",
        "CWCL",
        "Counterfactual",
        "ColloSSL",
        "BagInstance",
        "Coconut",
        "NPair",
    ],
)
def test_a_column_that_no_row_may_see_changes_nothing(text):
    generator = torch.Generator().manual_seed(3)
    sides, teacher = vectors(4, 6), torch.rand(4, 6, generator=generator, dtype=torch.float64)
    guide = dict(zip(("guide_anchors", "guide_candidates"), vectors(4, 6, seed=1), strict=True))
    objective, relevance = parse(text).double(), torch.eye(4, 6)
    origin = torch.tensor([Origin.IN_BATCH] * 4 + [Origin.HARD] * 2)
    outcomes = []
    for columns in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 5]):
        one, other = (side.clone().requires_grad_() for side in sides)
        ignored = torch.zeros(4, len(columns), dtype=torch.bool)
        ignored[:, 6:] = True
        inputs = {**guide, "guide_candidates": guide["guide_candidates"][columns], "teacher": teacher[:, columns]}
        loss = objective(one, other[columns], relevance[:, columns], ignored=ignored, origin=origin[columns], **inputs)
        loss.backward()
        outcomes.append((loss.detach(), one.grad, other.grad))
    torch.testing.assert_close(outcomes[1], outcomes[0])
