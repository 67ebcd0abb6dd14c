"""Pairwise links against their equations, finite differences, identities and the maintained libraries."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize, softplus

from nearfar.objectives.named.pairs import (
    ICNN,
    AnglE,
    CoSENT,
    Fidelity,
    GaussianPrototype,
    LambdaLoss,
    ProtoTriplet,
    RankNet,
    Triplet,
)
from nearfar.objectives.named.softmax import InfoNCE
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import Case, cases, check_gradients, check_loss, check_rows
from tests.oracles.libraries import quietly
from tests.oracles.slow import pairwise as slow

MANY = settings(max_examples=20, deadline=None)
FEW = settings(max_examples=5, deadline=None)
SMALL = cases(most=3, dim=2)


def on_scores(objective, scores, known):
    """The outcome for a score matrix: the candidates are unit vectors, which ``similarity=dot`` takes as they are."""
    return objective.outcome(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known)


def vectors_of(*sizes, dim=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in sizes]


def same_label(labels):
    """The relation of a labelled batch: same label, not the same text."""
    grades = [[1 if one == other else None for other in labels] for one in labels]
    return relation(grades, anchor_ids=range(len(labels)), candidate_ids=range(len(labels)))


def judgements(case, unjudged):
    problem = case.problem
    known = problem.valid & problem.judged if unjudged == "ignored" else problem.valid
    return problem.grades.numpy(), known.numpy()


@MANY
@given(
    case=cases(scale=0.5),
    kind=st.sampled_from(["hard", "semi_hard", "all", "soft"]),
    distance=st.sampled_from(["cosine", "euclidean"]),
    margin=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_triplets_follow_the_equation(case, kind, distance, margin):
    _, positive, valid = case.arrays()
    sides = [side.numpy() for side in case.vectors]
    expected = slow.triplet(*sides, positive, valid, kind=kind, distance=distance, margin=margin)
    check = check_rows if isinstance(expected, tuple) else check_loss
    check(Triplet(kind=kind, distance=distance, margin=margin), case, expected)


@FEW
@given(case=SMALL, kind=st.sampled_from(["hard", "semi_hard", "all", "soft"]))
def test_triplets_have_the_gradient_of_finite_differences(case, kind):
    check_gradients(Triplet(kind=kind), case)
    check_gradients(Triplet(kind=kind, distance="euclidean", margin=1.0, sides="both"), case)


def test_triplets_of_written_distances():
    scores = -torch.tensor([[0.5, 1.0, 0.3, 0.6, 0.9]], dtype=torch.float64)
    # Distances to unit vectors on a line: one anchor at 0, candidates at their distance.
    candidates, anchor = -scores.T, torch.zeros(1, 1, dtype=torch.float64)
    known = relation([[1, 1, None, None, None]])
    found = {kind: Triplet(kind=kind, distance="euclidean", margin=0.2) for kind in ("semi_hard", "all", "hard")}
    assert found["semi_hard"](anchor, candidates, known).item() == pytest.approx(0.2)
    assert found["all"](anchor, candidates, known).item() == pytest.approx(0.46)
    assert found["hard"](anchor, candidates, known).item() == pytest.approx(0.9)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_collapsed_vectors_stay_at_the_margin_or_at_log_two(distance):
    vectors = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    for kind in ("hard", "semi_hard", "all"):
        loss = Triplet(kind=kind, distance=distance, margin=0.3)(vectors, vectors, diagonal(4))
        assert loss.item() == pytest.approx(0.3, abs=1e-6)
        assert torch.isfinite(torch.autograd.grad(loss, vectors)[0]).all()
    assert Triplet(kind="soft", distance=distance)(vectors, vectors, diagonal(4)).item() == pytest.approx(math.log(2))


def test_a_soft_triplet_is_info_nce_with_one_negative_at_temperature_one():
    anchors, candidates = vectors_of(3, 3)
    known = relation([[1, None, None]] * 3, ignored=[(0, 2), (1, 1), (2, 2)])
    other = InfoNCE(temperature=1.0)
    expected = other(anchors, candidates, known)
    torch.testing.assert_close(Triplet(kind="soft")(anchors, candidates, known), expected)


def test_triplets_that_are_far_enough_have_no_gradient():
    vectors = torch.eye(3, dtype=torch.float64, requires_grad=True)
    for kind in ("hard", "semi_hard", "all"):
        loss = Triplet(kind=kind, margin=0.5)(vectors, torch.eye(3, dtype=torch.float64), diagonal(3))
        assert loss == 0
        assert torch.count_nonzero(torch.autograd.grad(loss, vectors)[0]) == 0


@st.composite
def labelled(draw, most=6):
    """Anchors with labels, candidates of some of their classes or of none, and who belongs to whom."""
    labels = draw(st.lists(st.integers(0, 2), min_size=1, max_size=most))
    owners = draw(st.lists(st.sampled_from([*labels, None]), min_size=1, max_size=most))
    grades = [[1 if one == other else None for other in owners] for one in labels]
    anchors, candidates = vectors_of(len(labels), len(owners), seed=draw(st.integers(0, 1000)))
    classes = [100 + place if owner is None else owner for place, owner in enumerate(owners)]
    return Case(anchors, candidates, relation(grades)), np.array(labels), np.array(classes)


@MANY
@given(drawn=labelled(), margin=st.sampled_from([0.5, 2.0]))
def test_proto_triplet_follows_the_equation(drawn, margin):
    case, labels, classes = drawn
    expected = slow.proto_triplet(case.anchors.numpy(), labels, case.candidates.numpy(), classes, margin=margin)
    check_rows(ProtoTriplet(margin=margin), case, expected, labels=torch.tensor(labels))


@FEW
@given(drawn=labelled(most=4))
def test_proto_triplet_has_the_gradient_of_finite_differences(drawn):
    case, labels, _ = drawn
    check_gradients(ProtoTriplet(margin=3.0), case, labels=torch.tensor(labels))


@MANY
@given(drawn=labelled(most=5), boundary=st.sampled_from([0.0, 3.0]), temperature=st.sampled_from([1.0, 4.0]))
def test_gaussian_prototype_follows_its_equation(drawn, boundary, temperature):
    case, labels, classes = drawn
    options = {"margin": 0.7, "temperature": temperature, "contrast_weight": 0.5, "epsilon": 0.3}
    names, means, variances = slow.gaussian_prototypes(case.candidates.numpy(), classes)
    places = np.array([list(names).index(label) if label in names else -1 for label in labels])
    boundaries = np.full(len(names), boundary)
    expected = slow.gaussian_prototype(case.anchors.numpy(), places, means, variances, boundaries, **options)
    objective = GaussianPrototype(**options)
    with torch.no_grad():
        next(objective.parameters()).fill_(boundary)
    check_rows(objective, case, expected, labels=torch.tensor(labels))


@FEW
@given(drawn=labelled(most=3))
def test_gaussian_prototype_has_the_gradient_of_finite_differences(drawn):
    case, labels, _ = drawn
    check_gradients(GaussianPrototype(epsilon=0.3), case, labels=torch.tensor(labels))


def test_the_boundary_of_gaussian_prototypes_is_trained():
    anchors, candidates = vectors_of(3, 4)
    objective = GaussianPrototype()
    objective(anchors, candidates, diagonal(3, 4), labels=torch.arange(3)).backward()
    (boundary,) = objective.parameters()
    assert boundary.grad != 0


def icnn_case(case):
    """Vectors and labels of a batch of two sides in which label i is pair i."""
    both = torch.cat(case.vectors).numpy()
    return both, np.array([*range(len(case.anchors)), *range(len(case.candidates))])


@MANY
@given(
    size=st.integers(1, 5),
    neighbours=st.integers(1, 5),
    window=st.sampled_from([None, 2, 3]),
    seed=st.integers(0, 1000),
)
def test_icnn_follows_its_equation(size, neighbours, window, seed):
    case = Case(*vectors_of(size, size, seed=seed), diagonal(size))
    expected = slow.icnn(*icnn_case(case), neighbours=neighbours, window=window)
    check_loss(ICNN(neighbours=neighbours, window=window), case, expected)


@FEW
@given(seed=st.integers(0, 1000))
def test_icnn_has_the_gradient_of_finite_differences(seed):
    check_gradients(ICNN(neighbours=3), Case(*vectors_of(3, 3, dim=3, seed=seed), diagonal(3)))


def test_icnn_is_near_zero_for_perfect_clusters():
    centres = 10 * torch.eye(4, dtype=torch.float64)
    noise = vectors_of(4, 4, seed=1)
    loss = ICNN(neighbours=1)(centres + 1e-3 * noise[0], centres + 1e-3 * noise[1], diagonal(4))
    assert 0 <= loss.item() < 1e-3


@MANY
@given(case=cases(), temperature=st.sampled_from([0.05, 1.0]), unjudged=st.sampled_from(["ignored", "negative"]))
def test_cosent_and_angle_follow_the_equation(case, temperature, unjudged):
    grades, judged = judgements(case, unjudged)
    options = {"temperature": temperature}
    expected = slow.cosent(case.arrays()[0], grades, judged, **options)
    check_loss(CoSENT(unjudged=unjudged, **options), case, expected)
    expected = slow.angle(case.anchors.numpy(), case.candidates.numpy(), grades, judged, **options)
    check_loss(AnglE(unjudged=unjudged, **options), case, expected)


@FEW
@given(case=SMALL)
def test_cosent_and_angle_have_the_gradient_of_finite_differences(case):
    check_gradients(CoSENT(temperature=0.2, unjudged="negative"), case)
    check_gradients(AnglE(temperature=0.2, unjudged="negative"), case)


def test_cosent_of_two_pairs_is_a_softplus_and_of_equal_grades_nothing():
    anchors, candidates = vectors_of(2, 2)
    cosines = normalize(anchors, dim=1) @ normalize(candidates, dim=1).T
    known = relation([[2, None], [None, 1]])
    loss = CoSENT(temperature=0.05)(anchors, candidates, known)
    torch.testing.assert_close(loss, softplus(20 * (cosines[1, 1] - cosines[0, 0])))
    equal = CoSENT()(anchors.requires_grad_(), candidates, relation([[2, None], [None, 2]]))
    assert equal == 0
    assert torch.count_nonzero(torch.autograd.grad(equal, anchors)[0]) == 0


@MANY
@given(case=cases())
def test_cosent_is_at_most_the_sum_over_pairs_of_pairs(case):
    grades, judged = judgements(case, "negative")
    scores, known = case.arrays()[0][judged], grades[judged]
    total = sum(
        slow.softplus(20 * (other - one))
        for one, better in zip(scores, known, strict=True)
        for other, worse in zip(scores, known, strict=True)
        if better > worse
    )
    assert CoSENT(unjudged="negative")(*case.vectors, case.known).item() <= total + 1e-9


def test_angle_is_not_symmetric_and_takes_opposite_vectors_for_similar():
    anchors, candidates = vectors_of(3, 3, dim=6)
    known = relation([[2, None, None], [None, 1, None], [None, None, 0]])
    objective = AnglE()
    assert objective(anchors, candidates, known) != pytest.approx(objective(candidates, anchors, known).item())
    turned = objective(-anchors, candidates, known)
    torch.testing.assert_close(turned, objective(anchors, candidates, known))


def test_angle_of_unit_vectors_is_the_absolute_sum_of_cosine_and_cross():
    anchors, candidates = (normalize(side, dim=1) for side in vectors_of(3, 3, dim=6))
    problem = AnglE().outcome(anchors, candidates, diagonal(3)).problems[0]
    (a, b), (c, d) = (side.chunk(2, dim=1) for side in (anchors, candidates))
    torch.testing.assert_close(problem.similarity, (anchors @ candidates.T + b @ c.T - a @ d.T).abs())


@MANY
@given(case=cases(), temperature=st.sampled_from([0.1, 1.0]), unjudged=st.sampled_from(["ignored", "negative"]))
def test_rank_net_and_fidelity_follow_the_equation(case, temperature, unjudged):
    similarity, (grades, judged) = case.arrays()[0], judgements(case, unjudged)
    options = {"temperature": temperature}
    check_rows(RankNet(unjudged=unjudged, **options), case, slow.rank_net(similarity, grades, judged, **options))
    for soft in (None, 0.7):
        expected = slow.fidelity(similarity, grades, judged, target_temperature=soft, **options)
        check_rows(Fidelity(unjudged=unjudged, target_temperature=soft, **options), case, expected)


@FEW
@given(case=SMALL)
def test_rank_net_and_fidelity_have_the_gradient_of_finite_differences(case):
    check_gradients(RankNet(temperature=0.2), case)
    check_gradients(Fidelity(temperature=0.2), case)
    check_gradients(Fidelity(temperature=0.2, target_temperature=0.5), case)


def test_rank_net_of_two_candidates_is_a_softplus_and_forgets_a_constant():
    scores = torch.tensor([[0.3, 0.9]], dtype=torch.float64)
    known = relation([[2, 1]])
    objective = RankNet(similarity="dot")
    torch.testing.assert_close(on_scores(objective, scores, known).loss, softplus(scores[0, 1] - scores[0, 0]))
    torch.testing.assert_close(on_scores(objective, scores + 5, known).loss, on_scores(objective, scores, known).loss)


def test_fidelity_is_between_zero_and_one_and_zero_where_the_probability_is_the_wanted_one():
    gap, known = 1.5, relation([[2, 1]])
    scores = torch.tensor([[gap, 0.0]], dtype=torch.float64)
    soft = Fidelity(similarity="dot", target_temperature=1 / gap)
    assert on_scores(soft, scores, known).loss.item() == pytest.approx(0, abs=1e-12)
    hard = on_scores(Fidelity(similarity="dot"), torch.tensor([[-50.0, 50.0]]).double(), known)
    assert hard.loss.item() == pytest.approx(1)
    wrong = torch.tensor([[-800.0, 800.0]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(on_scores(Fidelity(similarity="dot"), wrong, known).loss, wrong)
    assert torch.count_nonzero(gradient) == 0


@MANY
@given(case=cases(), top=st.sampled_from([None, 1, 2]), mu=st.sampled_from([0.0, 10.0]), unjudged=st.booleans())
def test_lambda_loss_follows_the_equation(case, top, mu, unjudged):
    unjudged = "negative" if unjudged else "ignored"
    grades, judged = judgements(case, unjudged)
    options = {"temperature": 0.5, "top": top, "mu": mu}
    arguments = case.arrays()[0], grades, judged
    pooled = LambdaLoss(unjudged=unjudged, **options)
    check_loss(pooled, case, slow.lambda_loss(*arguments, **options))
    by_row = LambdaLoss(unjudged=unjudged, average="rows", **options)
    check_rows(by_row, case, slow.lambda_loss_rows(*arguments, **options))


@FEW
@given(case=SMALL)
def test_lambda_loss_has_the_gradient_of_finite_differences(case):
    check_gradients(LambdaLoss(temperature=0.5), case)


def test_lambda_loss_of_two_candidates_in_wrong_order():
    scores = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    loss = on_scores(LambdaLoss(similarity="dot"), scores, relation([[1, 0]])).loss
    expected = 11 * (1 - 1 / math.log2(3)) * math.log1p(math.exp(0.4)) / math.log(2)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "objective", [Triplet(), Triplet(kind="all"), CoSENT(), RankNet(), LambdaLoss(), Fidelity(), ICNN()], ids=str
)
def test_rows_and_columns_can_be_permuted(objective):
    anchors, candidates = vectors_of(4, 6)
    grades = torch.zeros(4, 6)
    grades[[0, 1, 2, 3, 0], [0, 1, 2, 3, 4]] = torch.tensor([1.0, 2, 1, 3, 2])
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.randperm(4, generator=generator), torch.randperm(6, generator=generator)
    one = objective(anchors, candidates, grades)
    torch.testing.assert_close(objective(anchors[rows], candidates[columns], grades[rows][:, columns]), one)


# sentence-transformers


def sentence_losses():
    def load():
        from sentence_transformers.sentence_transformer import losses

        return losses

    try:
        return quietly(load)
    except ImportError:
        return quietly(lambda: __import__("sentence_transformers").losses)


@MANY
@given(size=st.integers(2, 8), levels=st.integers(1, 5), seed=st.integers(0, 1000))
def test_cosent_and_angle_are_those_of_sentence_transformers(size, levels, seed):
    losses = sentence_losses()
    anchors, candidates = vectors_of(size, size, dim=6, seed=seed)
    grades = torch.randint(levels, (size,), generator=torch.Generator().manual_seed(seed)).double()
    known = relation([[grades[i].item() if i == j else None for j in range(size)] for i in range(size)])
    for ours, theirs in ((CoSENT(), "CoSENTLoss"), (AnglE(), "AnglELoss")):
        made = quietly(lambda theirs=theirs: getattr(losses, theirs)(None, scale=20.0))
        one, other = anchors.clone().requires_grad_(), anchors.clone().requires_grad_()
        loss = ours(one, candidates, known)
        expected = made.compute_loss_from_embeddings([other, candidates], grades)
        torch.testing.assert_close(loss, expected, atol=1e-7, rtol=1e-5)
        if levels > 1 and len(grades.unique()) > 1:
            gradients = [torch.autograd.grad(value, leaf)[0] for value, leaf in ((loss, one), (expected, other))]
            torch.testing.assert_close(*gradients, atol=1e-7, rtol=1e-5)


@MANY
@given(
    labels=st.lists(st.integers(0, 1), max_size=3).flatmap(lambda more: st.permutations([0, 0, 1, 1, *more])),
    seed=st.integers(0, 1000),
)
def test_batch_triplets_are_those_of_sentence_transformers(labels, seed):
    """Their hard forms count anchors without a positive or a negative too, so that labels have both here. Their
    semi-hard form is a mean over positive pairs, their all form one over triplets that still have a loss."""
    losses = sentence_losses()
    (vectors,) = vectors_of(len(labels), seed=seed)
    known, numbers = same_label(labels), torch.tensor(labels)
    made = {
        "hard": quietly(lambda: losses.BatchHardTripletLoss(None, margin=1.0)).batch_hard_triplet_loss,
        "soft": quietly(lambda: losses.BatchHardSoftMarginTripletLoss(None)).batch_hard_triplet_soft_margin_loss,
        "semi_hard": quietly(lambda: losses.BatchSemiHardTripletLoss(None, margin=1.0)).batch_semi_hard_triplet_loss,
        "all": quietly(lambda: losses.BatchAllTripletLoss(None, margin=1.0)).batch_all_triplet_loss,
    }
    for kind, theirs in made.items():
        loss = Triplet(kind=kind, distance="euclidean", margin=1.0)(vectors, vectors, known)
        torch.testing.assert_close(loss, theirs(numbers, vectors).to(loss.dtype), atol=1e-6, rtol=1e-5)


@MANY
@given(labels=st.lists(st.integers(0, 2), min_size=2, max_size=7), seed=st.integers(0, 1000))
def test_all_triplets_are_those_of_pytorch_metric_learning(labels, seed):
    """Euclidean distances of normalised vectors, averaged over the triplets that still have a loss."""
    theirs = quietly(lambda: __import__("pytorch_metric_learning.losses").losses.TripletMarginLoss(margin=0.05))
    vectors = normalize(vectors_of(len(labels), seed=seed)[0], dim=1)
    loss = Triplet(kind="all", distance="euclidean", margin=0.05)(vectors, vectors, same_label(labels))
    expected = theirs(vectors, torch.tensor(labels))
    torch.testing.assert_close(loss, expected.to(loss.dtype), atol=1e-6, rtol=1e-5)
