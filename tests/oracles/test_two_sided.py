"""Two-sided log-sums against their equations, closed-form gradients, identities and pytorch-metric-learning."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.autograd.gradcheck import GradcheckError
from torch.nn.functional import normalize, softplus

from nearfar.objectives.named.two_sided import MLCD, Circle, MultiSimilarity, PamC
from tests.objectives.relations import diagonal, relation
from tests.oracles.cases import cases, check_gradients, check_loss, check_rows, mean_of
from tests.oracles.libraries import quiet
from tests.oracles.slow import two_sided as slow

MANY = settings(max_examples=20, deadline=None)
FEW = settings(max_examples=5, deadline=None)
SMALL = cases(most=3, dim=2)


def on_scores(objective, scores, known):
    """The outcome for a score matrix: the candidates are unit vectors, which ``similarity=dot`` takes as they are."""
    return objective.outcome(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known)


def classes_of(size, count, seed=0):
    """Random unit vectors with labels, and the relation of a labelled batch: same label, not the same text."""
    generator = torch.Generator().manual_seed(seed)
    vectors = normalize(torch.randn(size, 5, generator=generator, dtype=torch.float64), dim=1)
    labels = torch.randint(count, (size,), generator=generator)
    grades = [[1 if labels[i] == labels[j] else None for j in range(size)] for i in range(size)]
    known = relation(grades, anchor_ids=range(size), candidate_ids=range(size))
    return vectors, labels, known


@MANY
@given(case=cases(), margin=st.sampled_from([None, 0.1, 0.5]), base=st.sampled_from([0.3, 0.5]))
def test_multi_similarity_follows_the_equation(case, margin, base):
    options = {"alpha": 2.0, "beta": 10.0, "base": base, "mining_margin": margin}
    check_rows(MultiSimilarity(**options, sides="other"), case, slow.multi_similarity(*case.arrays(), **options))


@MANY
@given(case=cases(most=4))
def test_multi_similarity_of_both_sides_follows_the_equation(case):
    check_loss(MultiSimilarity(), case, mean_of(slow.multi_similarity(*case.stacked("positive"))))


@FEW
@given(case=SMALL)
def test_multi_similarity_has_the_gradient_of_finite_differences(case):
    check_gradients(MultiSimilarity(beta=5.0, mining_margin=0.3), case)
    check_gradients(MultiSimilarity(beta=5.0, mining_margin=None, sides="other"), case)


@MANY
@given(case=cases(most=5, dim=6), margin=st.sampled_from([None, 0.2]))
def test_the_gradient_of_multi_similarity_is_its_pair_weights(case, margin):
    options = {"beta": 10.0, "mining_margin": margin}
    outcome = MultiSimilarity(**options, sides="other").outcome(
        *(side.clone().requires_grad_() for side in case.vectors), case.known
    )
    (gradient,) = torch.autograd.grad(outcome.losses.sum(), outcome.problems[0].similarity)
    weights = slow.multi_similarity_weights(*case.arrays(), **options)
    np.testing.assert_allclose(gradient.numpy(), weights, atol=1e-12)
    assert (np.where(case.problem.positive.numpy(), weights, 0).sum(axis=1) > -1).all()


def test_steep_multi_similarity_is_how_far_the_hardest_pairs_are_from_the_base():
    scores = torch.tensor([[0.3, 0.7, 0.1, 0.6], [0.9, 0.2, 0.8, 0.4]], dtype=torch.float64)
    known = relation([[1, 1, None, None], [1, 1, None, None]])
    objective = MultiSimilarity(alpha=5000.0, beta=5000.0, mining_margin=None, sides="other")
    # Unit vectors of cosine `scores`: the objective normalises, so the rows are made of length 1.
    scores = torch.cat([scores, (2 - scores.square().sum(dim=1, keepdim=True)).sqrt()], dim=1) / math.sqrt(2)
    candidates = torch.eye(5, dtype=torch.float64)[:4]
    losses = objective.outcome(scores, candidates, known).losses
    cosines = scores[:, :4]
    expected = (0.5 - cosines[:, :2].amin(dim=1)).clamp(min=0) + (cosines[:, 2:].amax(dim=1) - 0.5).clamp(min=0)
    torch.testing.assert_close(losses, expected, atol=1e-3, rtol=0)


def test_mining_leaves_nothing_of_a_row_that_is_in_order():
    anchors = torch.eye(2, dtype=torch.float64)
    outcome = MultiSimilarity(sides="other").outcome(anchors, anchors, diagonal(2))
    assert outcome.losses.tolist() == [0, 0]
    assert outcome.kept.all()


@MANY
@given(case=cases(), margin=st.sampled_from([0.1, 0.25, 0.4]), gamma=st.sampled_from([8.0, 256.0]))
def test_circle_follows_the_equation(case, margin, gamma):
    expected = slow.circle(*case.arrays(), margin=margin, gamma=gamma)
    check_rows(Circle(margin=margin, gamma=gamma, sides="other"), case, expected)


@FEW
@given(case=cases(most=4))
def test_circle_of_both_sides_follows_the_equation(case):
    losses, kept = slow.circle(*case.stacked("positive"), gamma=16.0)
    anchors = len(case.anchors)
    # Where no anchor counts, and no candidate of one, there is no row that could carry the loss.
    carried = kept[:anchors].any() or (case.problem.positive.any(dim=0).numpy() & kept[anchors:]).any()
    check_loss(Circle(gamma=16.0), case, mean_of((losses, kept)) if carried else 0.0)


@MANY
@given(case=cases(most=4))
def test_circle_has_the_gradient_of_frozen_weights(case):
    anchors, candidates = (side.clone().requires_grad_() for side in case.vectors)
    outcome = Circle(gamma=8.0, sides="other").outcome(anchors, candidates, case.known)
    (gradient,) = torch.autograd.grad(outcome.losses.sum(), outcome.problems[0].similarity)
    similarity, positive, valid = case.arrays()
    frozen = slow.circle_detached(similarity, positive, valid)
    step = 1e-6
    for place in np.ndindex(similarity.shape):
        moved = [similarity.copy(), similarity.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        up, down = (slow.circle(m, positive, valid, gamma=8.0, detached=frozen)[0].sum() for m in moved)
        assert gradient[place].item() == pytest.approx((up - down) / (2 * step), abs=1e-6)


def test_circle_has_its_closed_form_gradient_and_none_for_far_negatives():
    cosines = torch.tensor([[0.6, 0.3, 0.2, -0.5]], dtype=torch.float64)
    rest = (1 - cosines.square().sum()).sqrt().reshape(1, 1)
    anchors, candidates = torch.cat([cosines, rest], dim=1), torch.eye(5, dtype=torch.float64)[:4]
    outcome = Circle(margin=0.25, gamma=4.0, sides="other").outcome(
        anchors.requires_grad_(), candidates, relation([[1, 1, None, None]])
    )
    (gradient,) = torch.autograd.grad(outcome.loss, outcome.problems[0].similarity)
    s, pace = cosines[0], torch.tensor([0.65, 0.95, 0.45, 0.0], dtype=torch.float64)
    falling = 1 - torch.exp(-outcome.loss.detach())
    pulled = torch.softmax(-4 * pace[:2] * (s[:2] - 0.75), dim=0)
    pushed = torch.softmax(4 * pace[2:] * (s[2:] - 0.25), dim=0)
    expected = 4 * falling * pace * torch.cat([-pulled, pushed])
    torch.testing.assert_close(gradient[0], expected)
    assert gradient[0, 3] == 0


def test_circle_without_the_detachment_would_have_another_gradient():
    generator = torch.Generator().manual_seed(1)
    vectors = [torch.randn(3, 4, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2)]
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda *sides: Circle(gamma=8.0)(*sides, diagonal(3)), vectors)


@MANY
@given(case=cases(scale=0.3), temperature=st.sampled_from([0.1, 1.0]))
def test_mlcd_follows_the_equation(case, temperature):
    for similarity in ("cosine", "dot"):
        expected = slow.mlcd(*case.arrays(similarity), temperature=temperature, margin=0.2)
        check_rows(MLCD(temperature=temperature, margin=0.2, similarity=similarity), case, expected)


@FEW
@given(case=SMALL)
def test_mlcd_has_the_gradient_of_finite_differences(case):
    check_gradients(MLCD(temperature=0.2), case)


def test_mlcd_is_the_log_of_a_product_and_its_sides_do_not_know_each_other():
    z = torch.tensor([[0.4, -0.2, 1.0, 0.1]], dtype=torch.float64, requires_grad=True)
    objective = MLCD(temperature=1.0, margin=0.0, similarity="dot")
    outcome = on_scores(objective, z, relation([[1, 1, None, None]]))
    pull, push = torch.exp(-z[0, :2]).sum(), torch.exp(z[0, 2:]).sum()
    torch.testing.assert_close(outcome.loss, torch.log((1 + pull) * (1 + push)))
    (gradient,) = torch.autograd.grad(outcome.loss, z)
    torch.testing.assert_close(gradient[0, :2], -torch.exp(-z[0, :2]) / (1 + pull))
    torch.testing.assert_close(gradient[0, 2:], torch.exp(z[0, 2:]) / (1 + push))


def test_mlcd_with_one_positive_alone_is_a_softplus_and_at_zero_a_sum_of_logs():
    z = torch.tensor([[0.7]], dtype=torch.float64)
    objective = MLCD(temperature=1.0, margin=0.0, similarity="dot")
    torch.testing.assert_close(on_scores(objective, z, relation([[1]])).loss, softplus(-z[0, 0]))
    grades = [[1] * 8 + [None] * 1000]
    start = on_scores(objective, torch.zeros(1, 1008, dtype=torch.float64), relation(grades)).loss
    assert start.item() == pytest.approx(math.log(1001) + math.log(9))


def test_mlcd_draws_other_classes_at_every_call_and_never_a_row_s_own():
    generator = torch.Generator().manual_seed(0)
    anchors, classes = (torch.randn(n, 8, generator=generator, dtype=torch.float64) for n in (4, 200))
    objective = MLCD(rate=0.1, seed=3)
    seen = [objective.outcome(anchors, classes, diagonal(4, 200)).problems[0] for _ in range(2)]
    for problem in seen:
        assert torch.equal(problem.positive, torch.eye(4, 200, dtype=torch.bool))
        columns = problem.valid[:, 4:]
        assert torch.equal(columns, columns[:1].expand_as(columns))
        assert 5 <= int(columns[0].sum()) <= 40
    assert not torch.equal(seen[0].valid, seen[1].valid)
    objective.eval()
    again = [objective.outcome(anchors, classes, diagonal(4, 200)).problems[0].valid for _ in range(2)]
    assert torch.equal(*again)


def test_mlcd_trains_class_vectors_of_its_own():
    objective = MLCD(classes=5)
    vectors = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    loss = objective(vectors, vectors, diagonal(3), labels=torch.tensor([0, 4, 4]))
    loss.backward()
    trained = [weight for weight in objective.parameters() if weight.shape == (5, 4)]
    assert len(trained) == 1
    assert (trained[0].grad.abs().sum(dim=1) > 0).all()


@MANY
@given(size=st.integers(3, 8), count=st.integers(1, 3), seed=st.integers(0, 100))
def test_circle_is_that_of_pytorch_metric_learning_on_rows_with_both(size, count, seed):
    """Theirs has no gradient through the weights either. Rows without a positive or a negative are 0 there, and left
    out of the mean by its reducer, as here."""
    theirs = library("CircleLoss", m=0.25, gamma=80)
    vectors, labels, known = classes_of(size, count, seed)
    one, other = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    loss = Circle(margin=0.25, gamma=80.0, sides="other")(one, one, known)
    expected = theirs(other, labels)
    torch.testing.assert_close(loss, expected.to(loss.dtype), atol=1e-8, rtol=1e-6)
    if loss > 0:
        loss.backward()
        expected.backward()
        torch.testing.assert_close(one.grad, other.grad, atol=1e-8, rtol=1e-6)


@MANY
@given(size=st.integers(3, 8), count=st.integers(1, 3), seed=st.integers(0, 100))
def test_multi_similarity_is_that_of_pytorch_metric_learning_with_its_miner(size, count, seed):
    """Their miner keeps pairs as this one does. A batch of which it leaves a single pair of each kind is 0 there."""
    theirs, miner = library("MultiSimilarityLoss", alpha=2, beta=40, base=0.5), mining(epsilon=0.1)
    vectors, labels, known = classes_of(size, count, seed)
    one, other = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    hard = miner(other.detach(), labels)
    assume(any(len(places) > 1 for places in hard))
    loss = MultiSimilarity(sides="other")(one, one, known)
    expected = theirs(other, labels, hard)
    torch.testing.assert_close(loss, expected.to(loss.dtype), atol=1e-8, rtol=1e-6)
    if loss > 0:
        loss.backward()
        expected.backward()
        torch.testing.assert_close(one.grad, other.grad, atol=1e-8, rtol=1e-6)


def test_multi_similarity_without_mining_differs_from_pytorch_metric_learning_where_a_row_has_one_side():
    """Theirs counts the side that is there; here, as in the paper, such a row is 0."""
    vectors, _, _ = classes_of(3, 1)
    labels = torch.tensor([0, 0, 1])
    known = relation([[None, 1, None], [1, None, None], [None] * 3], anchor_ids=range(3), candidate_ids=range(3))
    theirs = library("MultiSimilarityLoss", alpha=2, beta=40, base=0.5)(vectors, labels)
    objective = MultiSimilarity(mining_margin=None, sides="other")
    losses = objective.outcome(vectors, vectors, known).losses
    missing = softplus(torch.logsumexp(40 * (vectors[2] @ vectors[:2].T - 0.5), dim=0)) / 40
    torch.testing.assert_close((losses.sum() + missing) / 3, theirs, atol=1e-8, rtol=1e-6)
    assert losses[2] == 0


def graph(size, seed):
    """Nodes and a symmetric adjacency without loops."""
    generator = torch.Generator().manual_seed(seed)
    nodes = torch.randn(size, 3, generator=generator, dtype=torch.float64)
    edges = torch.rand(size, size, generator=generator) < 0.4
    edges = (edges | edges.T) & ~torch.eye(size, dtype=torch.bool)
    grades = [[1 if edge else None for edge in row] for row in edges.tolist()]
    return nodes, edges.double().numpy(), relation(grades, anchor_ids=range(size), candidate_ids=range(size))


def student(nodes, centres):
    """The soft assignment of nodes to centres."""
    kernel = 1 / (1 + ((nodes[:, None] - centres[None]) ** 2).sum(axis=2))
    return kernel / kernel.sum(axis=1, keepdims=True)


@MANY
@given(
    size=st.integers(2, 6),
    clusters=st.integers(1, 4),
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.5, 1.0]),
)
def test_pamc_follows_the_equation(size, clusters, seed, temperature):
    nodes, adjacency, known = graph(size, seed)
    assume(adjacency.any())
    options = {"temperature": temperature, "contrast_weight": 0.7, "cluster_weight": 0.3}
    objective = PamC(clusters=clusters, **options).double().prepare(3)
    (centres,) = objective.parameters()
    assignment = student(nodes.numpy(), centres.detach().double().numpy())
    expected = slow.pamc(nodes.numpy(), adjacency, assignment, slow.sharpened(assignment), **options)
    assert objective(nodes, nodes, known).item() == pytest.approx(expected, abs=1e-6)


def test_pamc_with_one_cluster_is_attraction_alone():
    nodes, adjacency, known = graph(5, 1)
    cosines = normalize(nodes, dim=1) @ normalize(nodes, dim=1).T
    some = torch.tensor(adjacency.any(axis=1))
    mass = (torch.tensor(adjacency) * cosines.exp()).sum(dim=1)
    loss = PamC(clusters=1)(nodes, nodes, known)
    assert loss.item() == pytest.approx(-mass[some].log().mean().item())


@FEW
@given(seed=st.integers(0, 1000))
def test_pamc_has_the_gradient_of_its_equation_with_target_and_members_fixed(seed):
    nodes, adjacency, known = graph(4, seed)
    assume(adjacency.any())
    objective = PamC(clusters=2).double().prepare(3)
    (centres,) = objective.parameters()
    leaf = nodes.clone().requires_grad_()
    found = torch.autograd.grad(objective(leaf, leaf, known), leaf)[0].numpy()
    middle = centres.detach().double().numpy()
    target = slow.sharpened(student(nodes.numpy(), middle))
    for place in np.ndindex(found.shape):
        change = np.zeros(found.shape)
        change[place] = 1e-6
        up, down = (
            slow.pamc(moved, adjacency, student(moved, middle), target)
            for moved in (nodes.numpy() + change, nodes.numpy() - change)
        )
        assert found[place] == pytest.approx((up - down) / 2e-6, abs=1e-5)


@pytest.mark.parametrize("objective", [MultiSimilarity(), Circle(), MLCD()], ids=str)
def test_rows_and_columns_can_be_permuted(objective):
    generator = torch.Generator().manual_seed(0)
    anchors, candidates = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (4, 6))
    known = torch.zeros(4, 6)
    known[[0, 1, 2, 3, 0], [0, 1, 2, 3, 4]] = 1
    rows, columns = torch.randperm(4, generator=generator), torch.randperm(6, generator=generator)
    one = objective(anchors, candidates, known)
    torch.testing.assert_close(objective(anchors[rows], candidates[columns], known[rows][:, columns]), one)


def test_the_mean_counts_rows_that_mining_emptied():
    case_rows = [[1, None, None], [None, 1, None]]
    anchors = torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=torch.float64)
    candidates = normalize(torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 0.2]], dtype=torch.float64), dim=1)
    outcome = MultiSimilarity(sides="other").outcome(anchors, candidates, relation(case_rows))
    assert outcome.losses[0] == 0
    assert outcome.losses[1] > 0
    torch.testing.assert_close(outcome.loss, outcome.losses[1] / 2)
    similarity, positive, valid = (
        (anchors @ candidates.T).numpy(),
        np.eye(2, 3, dtype=bool),
        np.ones((2, 3), dtype=bool),
    )
    positive = positive & valid
    assert outcome.loss.item() == pytest.approx(mean_of(slow.multi_similarity(similarity, positive, valid)))


def library(name, **options):
    with quiet():
        from pytorch_metric_learning import losses
    return getattr(losses, name)(**options)


def mining(epsilon):
    with quiet():
        from pytorch_metric_learning import miners
    return miners.MultiSimilarityMiner(epsilon=epsilon)
