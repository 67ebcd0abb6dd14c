"""List-wise objectives against their equations, finite differences, identities and the maintained libraries."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, normalize, softplus

from nearfar.objectives.criteria.sorting import keeps_of, mass_of
from nearfar.objectives.named.lists import (
    LGANNA,
    ApproxNDCG,
    FastAP,
    GroCo,
    ListKL,
    ListNet,
    PlackettLuce,
    RankKL,
    SmoothAP,
    UniMEV2,
)
from nearfar.objectives.named.pairs import LambdaLoss
from nearfar.objectives.named.softmax import DecoupledSoftmax, InfoNCE
from nearfar.objectives.registry import parse
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import Case, cases, check_gradients, check_loss, check_rows, mean_of
from tests.oracles.libraries import quietly
from tests.oracles.slow import listwise as slow

MANY = settings(max_examples=20, deadline=None)
FEW = settings(max_examples=4, deadline=None)
SMALL = cases(most=3, dim=2)
TEACHER = st.integers(0, 1000)


def on_scores(objective, scores, known, **inputs):
    """The outcome for a score matrix: the candidates are unit vectors, which ``similarity=dot`` takes as they are."""
    return objective.outcome(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known, **inputs)


def teacher_of(case, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(case.known.shape, generator=generator, dtype=torch.float64)


def vectors_of(*sizes, dim=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in sizes]


# Permutation likelihoods


@MANY
@given(case=cases(), temperature=st.sampled_from([0.05, 1.0]), discount=st.sampled_from(["none", "log", "exponential"]))
def test_list_mle_follows_the_equation(case, temperature, discount):
    expected = slow.list_mle(*case.arrays(), case.problem.grades.numpy(), temperature=temperature, discount=discount)
    check_rows(PlackettLuce(temperature=temperature, discount=discount), case, expected)


@MANY
@given(case=cases(), seed=TEACHER, temperature=st.sampled_from([0.05, 1.0]), soft=st.sampled_from([0.2, 1.0]))
def test_plackett_luce_distillation_follows_the_equation(case, seed, temperature, soft):
    teacher = teacher_of(case, seed)
    options = {"temperature": temperature, "teacher_temperature": soft}
    expected = slow.pld(*case.arrays(), case.problem.judged.numpy(), teacher.numpy(), **options)
    check_rows(PlackettLuce(kind="pld", **options), case, expected, teacher=teacher)


@MANY
@given(case=cases(), temperature=st.sampled_from([0.05, 1.0]))
def test_pro_follows_the_equation(case, temperature):
    similarity, positive, valid = case.arrays()
    grades, judged = case.problem.grades.numpy(), case.problem.judged.numpy()
    options = {"kind": "pro", "temperature": temperature}
    expected = slow.pro(similarity, positive, valid, grades, temperature=temperature)
    check_rows(PlackettLuce(**options), case, expected)
    one = slow.pro_batch(similarity, valid, judged, grades, temperature=temperature)
    check_loss(PlackettLuce(lists="batch", **options), case, one)


@FEW
@given(case=SMALL, seed=TEACHER)
def test_permutation_likelihoods_have_the_gradient_of_finite_differences(case, seed):
    check_gradients(PlackettLuce(temperature=0.3, discount="log"), case)
    check_gradients(PlackettLuce(kind="pld", temperature=0.3), case, teacher=teacher_of(case, seed))
    check_gradients(PlackettLuce(kind="pro", temperature=0.3), case)
    check_gradients(PlackettLuce(kind="pro", temperature=0.3, lists="batch"), case)


def test_distillation_of_a_certain_teacher_is_info_nce_and_of_a_flat_one_list_mle():
    scores = torch.tensor([[0.2, 0.9, -0.3, 0.5]], dtype=torch.float64)
    teacher = torch.tensor([[3.0, 1.0, 2.0, 0.0]], dtype=torch.float64)
    every = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64)

    def distilled(soft):
        objective = PlackettLuce(kind="pld", temperature=1.0, teacher_temperature=soft, similarity="dot")
        return on_scores(objective, scores, every, teacher=teacher).loss

    torch.testing.assert_close(
        distilled(0.001), on_scores(InfoNCE(temperature=1.0, similarity="dot"), scores, every).loss
    )
    order = relation([[4, 2, 3, 1]])
    flat = on_scores(PlackettLuce(temperature=1.0, similarity="dot"), scores, order).loss
    torch.testing.assert_close(4 * distilled(1e9), flat)


def test_list_mle_of_relevant_or_not_is_the_sum_of_the_decoupled_softmax():
    anchors, candidates = vectors_of(2, 5)
    known = relation([[1, 1, None, None, None], [None, None, 1, None, None]])
    summed = PlackettLuce(temperature=0.5).rows(anchors, candidates, known)
    mean = DecoupledSoftmax(temperature=0.5).rows(anchors, candidates, known)
    torch.testing.assert_close(summed, mean * torch.tensor([2.0, 1.0], dtype=torch.float64))


@pytest.mark.parametrize("options", [{}, {"kind": "pld"}], ids=str)
def test_likelihoods_forget_a_constant_and_their_gradients_add_up_to_zero(options):
    scores = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    grades = torch.tensor([[2.0, 1, 0, 0, 3], [0, 1, 0, 2, 0], [1, 0, 0, 0, 0]], dtype=torch.float64)
    objective = PlackettLuce(temperature=1.0, similarity="dot", **options)
    teacher = {"teacher": grades + 0.3 * scores.detach()} if options else {}
    loss = on_scores(objective, scores, grades, **teacher).loss
    moved = scores + torch.tensor([[1.0], [-2.0], [5.0]], dtype=torch.float64)
    torch.testing.assert_close(on_scores(objective, moved, grades, **teacher).loss, loss)
    (gradient,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(gradient.sum(dim=1), torch.zeros(3, dtype=torch.float64))


def test_list_mle_is_convex_in_the_scores():
    one, other = (torch.randn(1, 6, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1))
    known = relation([[3, 0, 1, 2, 0, 1]])
    objective = PlackettLuce(temperature=1.0, similarity="dot")
    ends = [on_scores(objective, scores, known).loss.item() for scores in (one, other)]
    for share in (0.25, 0.5, 0.75):
        between = on_scores(objective, share * one + (1 - share) * other, known).loss.item()
        assert between <= share * ends[0] + (1 - share) * ends[1] + 1e-12


def test_pro_of_two_pairs_is_a_softplus_and_skips_ties():
    scores = torch.tensor([[0.3, 0.9]], dtype=torch.float64)
    objective = PlackettLuce(kind="pro", temperature=0.5, similarity="dot")
    loss = on_scores(objective, scores, relation([[2, 1]])).loss
    torch.testing.assert_close(loss, softplus((scores[0, 1] - scores[0, 0]) / 0.5))
    assert not on_scores(objective, scores, relation([[2, 2]])).kept.any()
    shifted = on_scores(objective, scores + 1, relation([[3, 1]])).loss
    torch.testing.assert_close(shifted, on_scores(objective, scores, relation([[3, 1]])).loss)
    three = torch.tensor([[0.3, 0.9, 0.1]], dtype=torch.float64)
    known = relation([[3, 1, 2]])
    assert on_scores(objective, three + 1, known).loss.item() != pytest.approx(
        on_scores(objective, three, known).loss.item()
    )


# Soft ranks


@MANY
@given(case=cases(), temperature=st.sampled_from([0.01, 0.2]))
def test_soft_ranks_follow_the_equation(case, temperature):
    similarity, positive, valid = case.arrays()
    expected = slow.smooth_ap(similarity, positive, valid, temperature=temperature)
    check_rows(SmoothAP(temperature=temperature), case, expected)
    expected = slow.approx_ndcg(similarity, positive, valid, case.problem.grades.numpy(), temperature=temperature)
    check_rows(ApproxNDCG(temperature=temperature), case, expected)


@MANY
@given(case=cases(most=6), bins=st.sampled_from([1, 4, 10, 25]))
def test_fast_ap_follows_the_equation(case, bins):
    check_rows(FastAP(bins=bins), case, slow.fast_ap(*case.arrays(), bins=bins))


@FEW
@given(case=SMALL)
def test_soft_ranks_have_the_gradient_of_finite_differences(case):
    check_gradients(SmoothAP(temperature=0.2), case)
    check_gradients(ApproxNDCG(temperature=0.2), case)
    check_gradients(FastAP(bins=5), case)


def test_cold_soft_ranks_are_the_measures():
    scores = torch.tensor([[0.9, 0.7, 0.5, 0.3, 0.1]], dtype=torch.float64)
    hits = torch.tensor([[1.0, 0, 1, 0, 1]])
    loss = on_scores(SmoothAP(temperature=1e-4, similarity="dot"), scores, hits).loss
    assert loss.item() == pytest.approx(1 - (1 + 2 / 3 + 3 / 5) / 3)
    grades = torch.tensor([[0.0, 1, 2]])
    loss = on_scores(ApproxNDCG(temperature=1e-4, similarity="dot"), scores[:, :3], grades).loss
    assert loss.item() == pytest.approx(1 - 0.5869, abs=5e-5)


def test_soft_ranks_in_perfect_order_are_zero_and_have_no_gradient_left():
    scores = torch.tensor([[0.9, 0.8, 0.3, 0.1]], dtype=torch.float64, requires_grad=True)
    for objective in (SmoothAP(similarity="dot"), ApproxNDCG(similarity="dot")):
        loss = on_scores(objective, scores, torch.tensor([[2.0, 1, 0, 0]])).loss
        assert loss.item() == pytest.approx(0, abs=1e-4)
        shifted = on_scores(objective, scores + 3, torch.tensor([[2.0, 1, 0, 0]])).loss
        torch.testing.assert_close(shifted, loss)
        (gradient,) = torch.autograd.grad(loss, scores)
        assert gradient.abs().max() < 1e-2


def test_fast_ap_of_copies_before_what_is_far_is_zero():
    anchors = torch.eye(2, dtype=torch.float64)
    assert FastAP()(anchors, torch.cat([anchors, -anchors]), diagonal(2, 4)).item() == pytest.approx(0)


# Soft sorting


@MANY
@given(case=cases(), negatives=st.integers(1, 4), temperature=st.sampled_from([0.05, 1.0]))
def test_groco_follows_the_equation(case, negatives, temperature):
    similarity, positive, valid = case.stacked()
    anchors = len(case.anchors)
    same = (np.arange(len(similarity)) < anchors)[:, None] == (np.arange(len(similarity)) < anchors)
    valid = positive | (valid & same)
    expected = slow.groco(similarity, positive, valid, negatives=negatives, temperature=temperature)
    check_loss(GroCo(negatives=negatives, temperature=temperature), case, mean_of(expected))


@FEW
@given(case=SMALL)
def test_groco_has_the_gradient_of_finite_differences_where_columns_are_not_frozen(case):
    check_gradients(GroCo(temperature=0.3, negatives=2, freeze_columns=False), case)


@FEW
@given(size=st.integers(2, 4), seed=st.integers(0, 100))
def test_groco_moves_rows_alone(size, seed):
    anchors, candidates = (side.requires_grad_() for side in vectors_of(size, size, seed=seed))
    found = torch.autograd.grad(
        GroCo(temperature=0.3, negatives=2)(anchors, candidates, diagonal(size)), [anchors, candidates]
    )
    frozen = normalize(torch.cat([anchors, candidates]), dim=1).detach().numpy()
    size = len(anchors)
    positive = np.roll(np.eye(2 * size, dtype=bool), size, axis=1)
    same = np.kron(np.eye(2), np.ones((size, size))).astype(bool)
    valid = positive | (same & ~np.eye(2 * size, dtype=bool))

    def loss(rows):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return mean_of(slow.groco(unit @ frozen.T, positive, valid, negatives=2, temperature=0.3))

    rows, step = torch.cat([anchors, candidates]).detach().numpy(), 1e-6
    for place in np.ndindex(rows.shape):
        change = np.zeros_like(rows)
        change[place] = step
        slope = (loss(rows + change) - loss(rows - change)) / (2 * step)
        assert torch.cat(found)[place].item() == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_the_network_is_that_of_the_oracle_and_loses_no_mass(count):
    values = torch.randn(3, count, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    keeps = keeps_of(values, torch.full((3,), count))
    mass = torch.stack(
        [
            mass_of(keeps, torch.eye(count, dtype=torch.bool)[j].expand(3, -1), torch.full((3,), count))
            for j in range(count)
        ],
        dim=2,
    )
    for row in range(3):
        np.testing.assert_allclose(mass[row].numpy(), slow.soft_swaps(values[row].tolist(), 1.0), atol=1e-12)
    torch.testing.assert_close(mass.sum(dim=1), torch.ones(3, count, dtype=torch.float64))
    torch.testing.assert_close(mass.sum(dim=2), torch.ones(3, count, dtype=torch.float64))


def test_groco_of_one_pair_has_a_closed_form_and_steep_perfect_order_is_zero():
    anchors = normalize(torch.tensor([[1.0, 0.2], [0.1, 1.0]], dtype=torch.float64), dim=1)
    candidates = normalize(torch.tensor([[1.0, -0.3], [0.4, 1.0]], dtype=torch.float64), dim=1)
    loss = GroCo(temperature=0.7)(anchors, candidates, diagonal(2))
    both, total = torch.cat([anchors, candidates]), 0.0
    for row, (right, wrong) in enumerate([(2, 1), (3, 0), (0, 3), (1, 2)]):
        gap = (both[row] @ both[right] - both[row] @ both[wrong]).item()
        total -= math.log(math.atan(gap / 0.7) / math.pi + 0.5)
    assert loss.item() == pytest.approx(total / 4)
    assert GroCo(temperature=1e-7)(anchors, candidates, diagonal(2)).item() == pytest.approx(0, abs=1e-5)


# Soft targets


@MANY
@given(case=cases(), seed=TEACHER, soft=st.sampled_from([0.1, 1.0]), symmetric=st.booleans())
def test_list_kl_follows_the_equation(case, seed, soft, symmetric):
    teacher, problem = teacher_of(case, seed), case.problem
    options = {"temperature": 0.1, "teacher_temperature": soft, "symmetric": symmetric}
    similarity, _, valid = case.arrays()
    expected = slow.list_kl(similarity, valid, problem.judged.numpy(), teacher.numpy(), **options)
    check_rows(ListKL(**options), case, expected, teacher=teacher)
    if symmetric:
        same = slow.list_kl(
            similarity,
            valid,
            problem.judged.numpy(),
            teacher.numpy(),
            temperature=0.3,
            teacher_temperature=0.3,
            symmetric=True,
        )
        check_rows(UniMEV2(temperature=0.3), case, same, teacher=teacher)


@MANY
@given(case=cases(), seed=TEACHER, weight=st.sampled_from([0.2, 1.0]))
def test_lg_anna_follows_its_equation(case, seed, weight):
    teacher = teacher_of(case, seed)
    options = {"temperature": 0.1, "teacher_temperature": 0.5, "distillation_weight": weight}
    expected = slow.lg_anna(*case.arrays(), case.problem.judged.numpy(), teacher.numpy(), **options)
    check_loss(LGANNA(**options), case, expected, teacher=teacher)


@MANY
@given(case=cases(), temperature=st.sampled_from([0.1, 1.0]), label=st.sampled_from([0.3, 1.0]))
def test_list_net_follows_the_equation(case, temperature, label):
    options = {"temperature": temperature, "label_temperature": label}
    expected = slow.list_net(*case.arrays(), case.problem.grades.numpy(), **options)
    check_rows(ListNet(**options), case, expected)


@MANY
@given(case=cases(), temperature=st.sampled_from([0.05, 0.5]), target=st.sampled_from([0.05, 0.5]))
def test_rank_kl_follows_the_equation(case, temperature, target):
    similarity, _, valid = case.arrays()
    options = {"temperature": temperature, "target_temperature": target}
    grades, judged = case.problem.grades.numpy(), case.problem.judged.numpy()
    check_loss(RankKL(**options), case, slow.rank_kl(similarity, valid, judged, grades, **options))
    every = slow.rank_kl(similarity, valid, valid, grades, **options)
    check_loss(RankKL(unjudged="negative", **options), case, every)


@FEW
@given(case=SMALL, seed=TEACHER)
def test_soft_targets_have_the_gradient_of_finite_differences(case, seed):
    teacher = teacher_of(case, seed)
    check_gradients(ListKL(temperature=0.3), case, teacher=teacher)
    check_gradients(UniMEV2(temperature=0.5), case, teacher=teacher)
    check_gradients(LGANNA(temperature=0.3), case, teacher=teacher)
    check_gradients(ListNet(temperature=0.3), case)
    check_gradients(RankKL(temperature=0.3, unjudged="negative"), case)


def test_symmetric_divergence_of_the_fixture():
    student, judge = torch.tensor([[0.8, 0.7, 0.2]]).double(), torch.tensor([[0.95, 0.3, 0.1]]).double()
    objective = ListKL(temperature=0.5, teacher_temperature=0.5, symmetric=True, similarity="dot")
    loss = on_scores(objective, student, torch.tensor([[1.0, 0, 0]]), teacher=judge).loss
    assert loss.item() == pytest.approx(0.11355, abs=1e-5)


def test_the_gradient_of_the_divergence_is_the_difference_of_the_distributions():
    scores = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    teacher = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss = on_scores(ListKL(temperature=0.5, similarity="dot"), scores, torch.eye(3, 4), teacher=teacher).loss
    (gradient,) = torch.autograd.grad(loss, scores)
    difference = torch.softmax(scores / 0.5, dim=1) - torch.softmax(teacher, dim=1)
    torch.testing.assert_close(gradient, difference / (0.5 * 3))


def test_the_divergence_is_zero_for_the_teacher_itself_and_cross_entropy_for_a_certain_one():
    scores = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objective = ListKL(temperature=0.5, teacher_temperature=1.0, similarity="dot")
    assert on_scores(objective, scores, torch.eye(3, 4), teacher=2 * scores).loss.item() == pytest.approx(0, abs=1e-12)
    certain = 1000 * torch.eye(3, 4, dtype=torch.float64)
    loss = on_scores(objective, scores, torch.eye(3, 4), teacher=certain).loss
    torch.testing.assert_close(loss, cross_entropy(scores / 0.5, torch.arange(3)))


def test_list_net_cannot_fall_below_the_entropy_of_its_target():
    grades = torch.tensor([[2.0, 0, 1]], dtype=torch.float64)
    target = torch.softmax(grades, dim=1)
    loss = on_scores(ListNet(similarity="dot"), grades, grades).loss
    torch.testing.assert_close(loss, -(target * target.log()).sum())
    moved = on_scores(ListNet(similarity="dot"), grades + 4, grades).loss
    torch.testing.assert_close(moved, loss)
    for change in torch.eye(3, dtype=torch.float64):
        assert on_scores(ListNet(similarity="dot"), grades + 0.1 * change, grades).loss > loss


def test_rank_kl_is_the_divergence_of_torch_over_the_number_of_pairs():
    anchors, candidates = vectors_of(4, 4)
    known = relation([[grade if i == j else None for j in range(4)] for i, grade in enumerate([3, 1, 2, 2])])
    scores = (normalize(anchors, dim=1) * normalize(candidates, dim=1)).sum(dim=1)
    ideal = torch.tensor([3.0, 0, 1.5, 1.5], dtype=torch.float64) / 3
    target, student = torch.softmax(ideal / 0.05, dim=0), torch.log_softmax(scores / 0.05, dim=0)
    expected = kl_div(student, target, reduction="sum") / 4
    torch.testing.assert_close(RankKL()(anchors, candidates, known), expected)
    equal = relation([[2 if i == j else None for j in range(4)] for i in range(4)])
    assert RankKL()(anchors, candidates, equal) == 0


OBJECTIVES = [
    PlackettLuce(),
    PlackettLuce(kind="pro", lists="batch"),
    SmoothAP(),
    ApproxNDCG(),
    FastAP(),
    GroCo(),
    ListNet(),
    RankKL(),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_rows_and_columns_can_be_permuted(objective):
    anchors, candidates = vectors_of(4, 6)
    grades = torch.zeros(4, 6)
    grades[[0, 1, 2, 3, 0], [0, 1, 2, 3, 4]] = torch.tensor([1.0, 2, 1, 3, 2])
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.randperm(4, generator=generator), torch.randperm(6, generator=generator)
    one = objective(anchors, candidates, grades)
    torch.testing.assert_close(objective(anchors[rows], candidates[columns], grades[rows][:, columns]), one)


# sentence-transformers, whose losses want a model: this one has the scores ready.


class Scores(nn.Module):
    """In the place of a cross-encoder: texts are places of a score matrix."""

    num_labels = 1
    device = torch.device("cpu")

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def preprocess(self, pairs, **_):
        return {"places": torch.tensor([[int(query), int(document)] for query, document in pairs])}

    def forward(self, tokens):
        rows, columns = tokens["places"].T
        return {"scores": self.scores[rows, columns]}


def theirs(name, scores, grades, **options):
    def load():
        from sentence_transformers.cross_encoder import losses

        return losses

    losses = quietly(load)
    made = getattr(losses, name)(Scores(scores), **options)
    rows, columns = scores.shape
    documents = [[str(column) for column in range(columns)] for _ in range(rows)]
    return made([[str(row) for row in range(rows)], documents], list(grades))


LISTS = {"rows": st.integers(1, 3), "columns": st.integers(2, 6), "seed": st.integers(0, 1000)}


def drawn(rows, columns, seed, distinct=False):
    """Scores and grades, a positive in every row."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, columns, generator=generator)
    grades = torch.randint(0, 3, (rows, columns), generator=generator).float()
    if distinct:
        grades = torch.stack([torch.randperm(columns, generator=generator) for _ in range(rows)]).float()
    grades[:, 0] = grades.amax() + 1
    return scores, grades


@MANY
@given(**LISTS)
def test_list_net_is_that_of_sentence_transformers(rows, columns, seed):
    scores, grades = drawn(rows, columns, seed)
    loss = on_scores(ListNet(similarity="dot"), scores, grades).loss
    torch.testing.assert_close(loss, theirs("ListNetLoss", scores, grades), atol=1e-5, rtol=1e-5)


@MANY
@given(**LISTS)
def test_list_mle_is_that_of_sentence_transformers_where_no_grades_are_equal(rows, columns, seed):
    """Theirs breaks ties by position; here equal grades do not compete. Theirs divides the position-aware weights by
    their sum."""
    scores, grades = drawn(rows, columns, seed, distinct=True)
    options = {"temperature": 1.0, "similarity": "dot"}
    loss = on_scores(PlackettLuce(**options), scores, grades).loss
    expected = theirs("ListMLELoss", scores, grades, respect_input_order=False)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    loss = on_scores(PlackettLuce(discount="exponential", **options), scores, grades).loss
    total = sum(2.0 ** (columns - rank) - 1 for rank in range(1, columns + 1))
    expected = theirs("PListMLELoss", scores, grades, respect_input_order=False)
    torch.testing.assert_close(loss / total, expected, atol=1e-5, rtol=1e-5)


@MANY
@given(**LISTS, top=st.sampled_from([None, 2]))
def test_lambda_loss_is_that_of_sentence_transformers(rows, columns, seed, top):
    scores, grades = drawn(rows, columns, seed)
    loss = on_scores(LambdaLoss(top=top, similarity="dot"), scores, grades).loss
    scheme = quietly(
        lambda: __import__("sentence_transformers.cross_encoder.losses").cross_encoder.losses.NDCGLoss2PPScheme()
    )
    expected = theirs("LambdaLoss", scores, grades, weighting_scheme=scheme, k=top)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-4)


@MANY
@given(**LISTS)
def test_rank_net_is_that_of_sentence_transformers_up_to_the_mean_and_the_logarithm(rows, columns, seed):
    """Theirs is one mean over the pairs of the batch, in bits; RankNet here is a mean over rows, in nats."""
    scores, grades = drawn(rows, columns, seed)
    pooled = parse("Composition(criterion=PooledPairwise(compare=grades), similarity=dot)")
    expected = theirs("RankNetLoss", scores, grades) * math.log(2)
    torch.testing.assert_close(on_scores(pooled, scores, grades).loss, expected, atol=1e-5, rtol=1e-5)
    by_row = on_scores(parse("RankNet(similarity=dot)"), scores, grades).loss
    each = [theirs("RankNetLoss", scores[i : i + 1], grades[i : i + 1]) * math.log(2) for i in range(rows)]
    torch.testing.assert_close(by_row, torch.stack(each).mean(), atol=1e-5, rtol=1e-5)


# pytorch-metric-learning


def metric(name, **options):
    return quietly(lambda: getattr(__import__("pytorch_metric_learning.losses").losses, name)(**options))


@MANY
@given(labels=st.lists(st.integers(0, 2), min_size=2, max_size=7), seed=st.integers(0, 1000))
def test_fast_ap_is_that_of_pytorch_metric_learning(labels, seed):
    (vectors,) = vectors_of(len(labels), seed=seed)
    known = relation(
        [[1 if one == other else None for other in labels] for one in labels],
        anchor_ids=range(len(labels)),
        candidate_ids=range(len(labels)),
    )
    expected = metric("FastAPLoss", num_bins=10)(vectors, torch.tensor(labels))
    torch.testing.assert_close(FastAP()(vectors, vectors, known), expected.to(vectors.dtype), atol=1e-9, rtol=1e-9)


@FEW
@given(classes=st.integers(2, 4), seed=st.integers(0, 1000))
def test_smooth_ap_is_that_of_pytorch_metric_learning_where_the_query_is_its_own_positive(classes, seed):
    """Theirs counts the query among its positives, at rank 1, and is right only where there are as many classes as
    members of each, one class after the other."""
    (vectors,) = vectors_of(classes * classes, seed=seed)
    labels = torch.arange(classes).repeat_interleave(classes)
    expected = metric("SmoothAPLoss", temperature=0.05)(vectors, labels)
    itself_too = (labels[:, None] == labels[None, :]).double()
    loss = SmoothAP(temperature=0.05)(vectors, vectors, itself_too)
    torch.testing.assert_close(loss.float(), expected.float(), atol=1e-5, rtol=1e-4)


def test_every_order_of_three_has_a_likelihood_and_they_add_up_to_one():
    scores = torch.tensor([[0.4, -0.2, 1.1]], dtype=torch.float64)
    objective = PlackettLuce(temperature=1.0, similarity="dot")
    losses = [on_scores(objective, scores, torch.tensor([order])).loss for order in itertools.permutations([1.0, 2, 3])]
    assert torch.exp(-torch.stack(losses)).sum().item() == pytest.approx(1)


def test_a_case_of_written_grades_goes_through_every_path():
    known = relation([[3, 2, 0, None], [None, 1, 1, 2]])
    case = Case(*vectors_of(2, 4), known)
    expected = slow.list_mle(*case.arrays(), case.problem.grades.numpy())
    check_rows(PlackettLuce(), case, expected)
