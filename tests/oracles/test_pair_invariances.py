"""What pairwise, two-sided and list-wise criteria do, and do not, notice."""

import pytest
import torch

from nearfar.objectives import parse
from tests.objectives.relations import diagonal, relation

NAMES = (
    "MultiSimilarity(sides=other)",
    "Circle(gamma=16.0, sides=other)",
    "MLCD",
    "Triplet",
    "Triplet(kind=semi_hard)",
    "Triplet(kind=all)",
    "Triplet(kind=soft, distance=euclidean)",
    "CoSENT",
    "AnglE",
    "RankNet",
    "LambdaLoss",
    "LambdaLoss(average=rows, top=2)",
    "Fidelity",
    "PlackettLuce",
    "PlackettLuce(kind=pld)",
    "PlackettLuce(kind=pro)",
    "PlackettLuce(kind=pro, lists=batch)",
    "SmoothAP",
    "ApproxNDCG",
    "FastAP",
    "ListKL",
    "UniMEV2",
    "LGANNA",
    "ListNet",
    "RankKL",
)
GRADES = [[2, 0, 1, None], [None, 3, None, 0], [1, None, 2, None]]
WIDER = [[*row, None] for row in GRADES]
ROW_SHIFT = torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)


def drawn(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("name", NAMES)
def test_a_column_that_is_ignored_changes_neither_loss_nor_gradient(name):
    objective = parse(name).double()
    anchors, candidates, teacher = drawn((3, 6), (5, 6), (3, 5))
    anchors.requires_grad_()
    found = []
    for size, known in ((4, relation(GRADES)), (5, relation(WIDER, ignored=[(0, 4), (1, 4), (2, 4)]))):
        inputs = {"teacher": teacher[:, :size]} if objective.needs else {}
        loss = objective(anchors, candidates[:size], known, **inputs)
        found.append((loss, torch.autograd.grad(loss, anchors)[0]))
    torch.testing.assert_close(*found)
    assert found[0][1].abs().max() > 0


def losses_of(criterion, scores, **inputs):
    """The losses of rows whose scores are the logits."""
    objective = parse(f"Composition(criterion={criterion}, similarity=dot)")
    return objective.outcome(scores, torch.eye(4, dtype=torch.float64), relation(GRADES), **inputs).losses


FORGETFUL = (
    "Pairwise()",
    "Pairwise(link=Hinge(margin=1.0), select=hardest)",
    "PooledPairwise(link=Hinge(margin=1.0), select=semi_hard)",
    "Pairwise(link=Overlap(), compare=grades)",
    "PooledPairwise(compare=grades, weight=GainOfExchange())",
    "OrderedPairs()",
    "PlackettLuceLikelihood(discount=log)",
    "PlackettLuceDistillation()",
    "SoftRank()",
    "SoftRank(measure=ndcg)",
    "SoftTargets(target=Grades())",
    "SoftTargets(measure=symmetric)",
    "SoftSort()",
)


@pytest.mark.parametrize("criterion", FORGETFUL)
def test_a_constant_that_is_added_to_a_row_changes_nothing_and_the_gradient_of_a_row_adds_up_to_zero(criterion):
    scores, teacher = drawn((3, 4), (3, 4))
    losses = losses_of(criterion, scores.requires_grad_(), teacher=teacher)
    torch.testing.assert_close(losses_of(criterion, scores + ROW_SHIFT, teacher=teacher), losses)
    (gradient,) = torch.autograd.grad(losses.sum(), scores)
    torch.testing.assert_close(gradient.sum(dim=1), torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("criterion", ["TwoSided()", "TwoSided(alpha=2.0, beta=3.0)", "PreferenceRanking()"])
def test_a_constant_that_is_added_to_a_row_is_noticed(criterion):
    (scores,) = drawn((3, 4))
    assert not torch.allclose(losses_of(criterion, scores + ROW_SHIFT), losses_of(criterion, scores))


def test_a_joined_two_sided_sum_notices_no_constant_but_its_paces_do():
    (scores,) = drawn((3, 4))
    torch.testing.assert_close(
        losses_of("TwoSided(joined=true)", scores + ROW_SHIFT), losses_of("TwoSided(joined=true)", scores)
    )
    paced = parse("Composition(criterion=TwoSided(joined=true), similarity=dot, logits=CirclePace(gamma=2.0))")
    values = [paced.rows(each, torch.eye(4, dtype=torch.float64), relation(GRADES)) for each in (scores, scores + 1)]
    assert not torch.allclose(*values)


def test_ordered_pairs_of_a_batch_notice_a_constant_of_one_row_and_not_one_of_all():
    (scores,) = drawn((3, 4))
    one = losses_of("OneList(of=OrderedPairs())", scores)
    torch.testing.assert_close(losses_of("OneList(of=OrderedPairs())", scores + 3), one)
    assert not torch.allclose(losses_of("OneList(of=OrderedPairs())", scores + ROW_SHIFT), one)


def test_a_joined_two_sided_sum_of_one_positive_is_the_softmax_with_a_margin():
    anchors, candidates = drawn((3, 4), (5, 4))
    margin = "logits=[Margin(margin=0.3), Temperature(temperature=0.1)]"
    circle = parse(f"Composition(criterion=TwoSided(joined=true), {margin})")
    softmax = parse(f"Composition(criterion=Softmax(), {margin})")
    torch.testing.assert_close(
        circle(anchors, candidates, diagonal(3, 5)), softmax(anchors, candidates, diagonal(3, 5))
    )


def test_cold_links_are_the_hardest_triplet():
    (scores,) = drawn((3, 4))
    cold = parse("Composition(criterion=TwoSided(joined=true), similarity=dot, logits=Temperature(temperature=0.001))")
    losses = cold.rows(scores, torch.eye(4, dtype=torch.float64), relation(GRADES)) * 0.001
    hardest = losses_of("Pairwise(link=Hinge(margin=0.0), select=hardest)", scores)
    torch.testing.assert_close(losses, hardest, atol=2e-3, rtol=0)
