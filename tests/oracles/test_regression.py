"""Regression of margins and scores against the equations, their identities and sentence-transformers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from nearfar.objectives import CoDiEmbSTS, DualTeacher, MarginMSE, Pearson
from nearfar.types import Origin
from tests.objectives.relations import DEGENERATE, diagonal, relation
from tests.oracles.cases import cases, check_loss, check_rows, mean_of
from tests.oracles.libraries import quiet
from tests.oracles.slopes import check_slopes
from tests.oracles.slow import regression as oracle

VALUES = settings(max_examples=25, deadline=None)
GRADIENTS = settings(max_examples=5, deadline=None)


def teachers(case, seed=0, missing=0.0):
    """Scores of a teacher; a share of them is missing."""
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(case.known.shape, generator=generator, dtype=torch.float64)
    return torch.where(torch.rand(case.known.shape, generator=generator) < missing, torch.nan, scores)


def arrays(case, similarity="dot"):
    return (*case.arrays(similarity), case.problem.judged.numpy())


def triples(size, seed=0):
    """Anchors, their positives and then a hard negative for each, with a teacher."""
    generator = torch.Generator().manual_seed(seed)
    sides = [torch.randn(count, 5, generator=generator, dtype=torch.float64) for count in (size, 2 * size)]
    grades = [[1 if i == j else 0 if i + size == j else None for j in range(2 * size)] for i in range(size)]
    known = relation(grades, origins=[Origin.IN_BATCH] * size + [Origin.HARD] * size)
    return sides, known, torch.randn(size, 2 * size, generator=generator, dtype=torch.float64)


@VALUES
@given(case=cases(), similarity=st.sampled_from(["dot", "cosine"]), missing=st.sampled_from([0.0, 0.3]))
def test_margin_mse(case, similarity, missing):
    teacher = teachers(case, missing=missing)
    scores, positive, valid, judged = arrays(case, similarity)
    known = judged & ~np.isnan(teacher.numpy())
    expected = oracle.margin_mse(scores, positive, valid, known, teacher.numpy())
    check_rows(MarginMSE(similarity=similarity), case, expected, teacher=teacher)


@VALUES
@given(case=cases(), weight=st.sampled_from([0.75, 2.0]), missing=st.sampled_from([0.0, 0.3]))
def test_dual_teacher_is_the_sum_of_both_means(case, weight, missing):
    """Each half is a mean over the anchors that have it; the slow version is asked for one half at a time."""
    teacher = teachers(case, missing=missing)
    scores, positive, valid, _ = arrays(case)
    scored, nothing = ~np.isnan(teacher.numpy()), np.zeros(case.known.shape, dtype=bool)
    same = (scores, positive, valid, case.problem.own.numpy(), case.problem.origins.numpy())
    own = oracle.dual_teacher(*same, scored, teacher.numpy(), nothing, teacher.numpy())
    others = oracle.dual_teacher(*same, nothing, teacher.numpy(), scored, teacher.numpy(), in_batch_weight=weight)
    check_loss(DualTeacher(in_batch_weight=weight), case, mean_of(own) + mean_of(others), teacher=teacher)


def test_the_second_teacher_can_be_another_encoder():
    (anchors, candidates), known, teacher = triples(4)
    guides = [side[:, :3] for side in triples(4, seed=1)[0]]
    second = (guides[0] @ guides[1].T).numpy()
    everything, own = np.ones((4, 8), dtype=bool), np.eye(4, 8, k=4, dtype=bool)
    same = ((anchors @ candidates.T).numpy(), np.eye(4, 8, dtype=bool), everything, own, known.origins.numpy())
    expected = mean_of(oracle.dual_teacher(*same, everything, teacher.numpy(), everything, second))
    inputs = {"teacher": teacher, "guide_anchors": guides[0], "guide_candidates": guides[1]}
    found = DualTeacher(in_batch_teacher="guide")(anchors, candidates, known, **inputs)
    assert found.item() == pytest.approx(expected)


def test_dual_teacher_of_triples_is_the_row_mean_of_the_equation():
    """Where every anchor has all parts, as in the paper, it makes no difference what the mean is over."""
    (anchors, candidates), known, teacher = triples(4)
    scores, positive = (anchors @ candidates.T).numpy(), np.eye(4, 8, dtype=bool)
    everything, own = np.ones((4, 8), dtype=bool), np.eye(4, 8, k=4, dtype=bool)
    origin = known.origins.numpy()
    both = (everything, teacher.numpy(), everything, teacher.numpy())
    expected = mean_of(oracle.dual_teacher(scores, positive, everything, own, origin, *both))
    assert DualTeacher()(anchors, candidates, known, teacher=teacher).item() == pytest.approx(expected)


@VALUES
@given(case=cases(), unjudged=st.sampled_from(["ignored", "negative"]))
def test_pearson(case, unjudged):
    scores, _, valid = case.arrays("cosine")
    problem = case.problem
    judged = problem.judged.numpy() if unjudged == "ignored" else valid
    grades = torch.where(problem.judged, problem.grades, 0.0).numpy()
    check_loss(Pearson(unjudged=unjudged), case, oracle.pearson(scores, valid, judged, grades))


@VALUES
@given(case=cases(), temperature=st.sampled_from([0.1, 0.5]))
def test_codiemb_sts(case, temperature):
    scores, _, valid, judged = arrays(case, "cosine")
    grades = torch.where(case.problem.judged, case.problem.grades, 0.0).numpy()
    weights = {"pearson_weight": 3.0, "rank_weight": 2.0, "pro_weight": 0.25}
    expected = oracle.codiemb_sts(scores, valid, judged, grades, temperature=temperature, **weights)
    check_loss(CoDiEmbSTS(temperature=temperature, **weights), case, expected)


@pytest.mark.parametrize(
    "objective",
    [MarginMSE(), MarginMSE(similarity="cosine"), DualTeacher(), Pearson(), CoDiEmbSTS(temperature=0.3)],
    ids=str,
)
def test_gradients(objective):
    @GRADIENTS
    @given(case=cases(most=4, dim=3))
    def check(case):
        check_slopes(objective, case, **({"teacher": teachers(case, missing=0.2)} if objective.needs else {}))

    check()


@pytest.mark.parametrize("objective", [MarginMSE(), DualTeacher()], ids=str)
def test_a_constant_for_each_row_changes_nothing_and_the_scale_of_the_teacher_does(objective):
    sides, known, teacher = triples(4)
    loss = objective(*sides, known, teacher=teacher)
    shifted = teacher + torch.tensor([[1.0], [-20.0], [0.5], [300.0]])
    torch.testing.assert_close(objective(*sides, known, teacher=shifted), loss)
    assert objective(*sides, known, teacher=2 * teacher).item() != pytest.approx(loss.item())
    # A further dimension that all candidates share adds a constant to each row of scores.
    longer = [torch.cat([side, torch.ones(len(side), 1)], dim=1).double() for side in sides]
    torch.testing.assert_close(objective(*longer, known, teacher=teacher), loss)


def test_a_student_with_the_margins_of_its_teacher_has_no_loss():
    sides, known, _ = triples(4)
    teacher = sides[0] @ sides[1].T + 7
    assert DualTeacher()(*sides, known, teacher=teacher).item() == pytest.approx(0, abs=1e-20)


def test_a_row_without_a_judged_negative_does_not_count():
    sides, _, teacher = triples(2)
    known = relation([[1, 0, None, None], [None, 1, None, None]])
    outcome = MarginMSE().outcome(*sides, known, teacher=teacher)
    assert outcome.kept.tolist() == [True, False]


GRADES = torch.linspace(0.1, 1, 6, dtype=torch.float64)


def with_cosines(cosines):
    """Pearson's loss of pairs with these cosines and the grades above."""
    anchors = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    candidates = torch.stack([cosines, (1 - cosines.square()).sqrt()], dim=1)
    return Pearson()(anchors, candidates, GRADES[None])


def test_a_copy_of_a_positive_that_nobody_judged_has_no_margin():
    known = relation([[1, None, 0]], candidate_ids=[100, 100, 101])
    sides = [side[:count] for side, count in zip(triples(3)[0], (1, 3), strict=True)]
    losses = [
        MarginMSE()(*sides, known, teacher=torch.tensor([[1.0, score, 0.0]], dtype=torch.float64)).item()
        for score in (0.0, 50.0)
    ]
    assert losses[0] == losses[1] > 0


@VALUES
@given(scale=st.floats(0.1, 1.5), shift=st.floats(-0.3, 0.3))
def test_pearson_does_not_see_a_shift_or_a_positive_scale(scale, shift):
    cosines = 0.4 * torch.sin(7 * GRADES)
    torch.testing.assert_close(with_cosines(scale * cosines + shift), with_cosines(cosines), atol=1e-8, rtol=0)


def test_pearson_of_a_falling_line_is_two_and_of_a_rising_one_zero():
    assert with_cosines(0.5 - GRADES).item() == pytest.approx(2)
    assert with_cosines(0.3 + GRADES / 2).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("grades", [[[1.0, 1.0, 1.0]], [[1.0]], [[0.0, 0.0]]])
def test_pearson_of_constant_grades_is_zero_without_gradient(grades):
    grades = torch.tensor(grades, dtype=torch.float64)
    sides = [torch.randn(count, 4, dtype=torch.float64, requires_grad=True) for count in grades.shape]
    loss = Pearson()(*sides, grades)
    loss.backward()
    assert loss.item() == 0
    assert all((side.grad == 0).all() for side in sides)


def test_pearson_of_equal_scores_is_one_with_a_finite_gradient():
    sides = [torch.ones(count, 4, dtype=torch.float64, requires_grad=True) for count in (1, 3)]
    loss = Pearson()(*sides, torch.tensor([[0.2, 0.5, 1.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert all(torch.isfinite(side.grad).all() for side in sides)


def test_without_a_judged_pair_there_is_nothing_to_correlate():
    known = DEGENERATE["all ignored"]
    sides = [torch.randn(count, 4) for count in known.shape]
    assert Pearson()(*sides, known).item() == 0


def test_sentence_transformers_computes_the_same_margin_mse():
    """One positive and one negative a row, with the teacher's margin as the label."""
    with quiet():
        from sentence_transformers.sentence_transformer.losses import MarginMSELoss
    (anchors, candidates), known, teacher = triples(5)
    ours = [side.clone().requires_grad_() for side in (anchors, candidates)]
    yours = [side.clone().requires_grad_() for side in (anchors, candidates)]
    place = torch.arange(5)
    margins = teacher[place, place] - teacher[place, place + 5]
    expected = MarginMSELoss(None).compute_loss_from_embeddings([yours[0], *yours[1].split(5)], margins)
    loss = MarginMSE()(*ours, known, teacher=teacher)
    torch.testing.assert_close(loss, expected)
    for mine, theirs in zip(torch.autograd.grad(loss, ours), torch.autograd.grad(expected, yours), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_unit_vectors_cannot_reach_the_margins_of_a_cross_encoder():
    (anchors, candidates), known, teacher = triples(4)
    unit = [normalize(side, dim=1) for side in (anchors, candidates)]
    wide = 10 * (known_matrix(known) - 0.5)
    assert MarginMSE()(*unit, known, teacher=wide.double()).item() > (10 - 2) ** 2 - 1e-9
    assert MarginMSE()(*unit, diagonal(4, 8), teacher=teacher).item() == 0


def known_matrix(known):
    """1 at positives, 0 elsewhere."""
    matrix = torch.zeros(known.shape)
    matrix[known.rows, known.columns] = known.grades
    return matrix
