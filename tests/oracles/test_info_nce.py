"""InfoNCE against its equation, against finite differences, against closed forms and against sentence-transformers."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, softplus

from nearfar.objectives import InfoNCE
from nearfar.types import Origin
from tests.objectives.relations import DEGENERATE, diagonal, relation, relations
from tests.oracles import info_nce as oracle

DIRECTIONS = ("query_to_document", "symmetric", "gte")
GOLDEN = torch.tensor([[0.8, 0.7, 0.1], [0.2, 0.6, 0.5], [0.65, 0.3, 0.9]], dtype=torch.float64)


def random_vectors(shape, seed, dim=4):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in shape]


def by_scores(scores, known, temperature=0.1, directions="query_to_document"):
    """The loss as a function of a score matrix: the anchors are its rows, the candidates unit vectors."""
    objective = InfoNCE(temperature=temperature, directions=directions, similarity="dot")
    return objective.outcome(scores, torch.eye(scores.shape[1], dtype=scores.dtype), known)


@settings(max_examples=60, deadline=None)
@given(
    known=relations(),
    seed=st.integers(0, 1000),
    directions=st.sampled_from(DIRECTIONS),
    similarity=st.sampled_from(["cosine", "dot"]),
    temperature=st.sampled_from([0.05, 0.2, 1.0]),
)
def test_rows_and_mean_follow_the_equation(known, seed, directions, similarity, temperature):
    anchors, candidates = random_vectors(known.shape, seed)
    if similarity == "dot":
        anchors, candidates = anchors / 3, candidates / 3  # the slow version has no log space
    objective = InfoNCE(temperature=temperature, directions=directions, similarity=similarity)
    outcome = objective.outcome(anchors, candidates, known)
    losses, kept = outcome.losses, outcome.kept
    expected, expected_kept = oracle.rows(anchors, candidates, known, temperature, directions, similarity)
    assert kept.tolist() == expected_kept.tolist()
    np.testing.assert_allclose(losses.numpy(), expected, atol=1e-9, rtol=1e-9)
    assert objective(anchors, candidates, known).item() == pytest.approx(oracle.mean(expected, expected_kept), abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(known=relations(most=4), seed=st.integers(0, 1000), directions=st.sampled_from(DIRECTIONS))
def test_gradients_agree_with_finite_differences(known, seed, directions):
    inputs = [vectors.requires_grad_() for vectors in random_vectors(known.shape, seed, dim=3)]
    objective = InfoNCE(temperature=0.3, directions=directions)
    assert torch.autograd.gradcheck(lambda left, right: objective(left, right, known), inputs)


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("directions", DIRECTIONS)
def test_a_relation_that_lacks_something_gives_finite_losses_and_gradients(name, directions):
    known = DEGENERATE[name]
    inputs = [vectors.requires_grad_() for vectors in random_vectors(known.shape, 3, dim=3)]
    objective = InfoNCE(temperature=0.3, directions=directions)
    loss = objective(*inputs, known)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(vectors.grad).all() for vectors in inputs)
    if not objective.outcome(*inputs, known).kept.any():
        assert loss.item() == 0
        assert all((vectors.grad == 0).all() for vectors in inputs)
    assert torch.autograd.gradcheck(lambda left, right: objective(left, right, known), inputs)


@pytest.mark.parametrize("directions", DIRECTIONS)
def test_zero_vectors_and_extreme_scores_stay_finite(directions):
    anchors, candidates = (vectors.float() for vectors in random_vectors((3, 3), 1))
    anchors[0] = 0
    for objective in (
        InfoNCE(temperature=0.05, directions=directions),
        InfoNCE(temperature=1e-4, directions=directions),
        InfoNCE(temperature=1e-3, directions=directions, similarity="dot"),
    ):
        inputs = [anchors.clone().requires_grad_(), candidates.clone().requires_grad_()]
        loss = objective(*inputs, diagonal(3))
        loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(vectors.grad).all() for vectors in inputs)


def test_golden_rows():
    found = by_scores(GOLDEN, diagonal(3))
    assert found.losses.tolist() == pytest.approx([0.3139, 0.3266, 0.0812], abs=5e-5)
    assert found.kept.all()
    assert found.loss.item() == pytest.approx(0.2406, abs=5e-5)


def test_golden_mean_with_an_ignored_pair():
    known = relation([[1, None, None], [None, 1, None], [None, None, 1]], ignored=[(0, 1)])
    assert by_scores(GOLDEN, known).loss.item() == pytest.approx(0.1362, abs=5e-5)


def test_gradient_is_softmax_minus_positives():
    scores = GOLDEN.clone().requires_grad_()
    by_scores(scores, diagonal(3)).loss.backward()
    expected = (torch.softmax(GOLDEN / 0.1, dim=1) - torch.eye(3)) / (0.1 * 3)
    torch.testing.assert_close(scores.grad, expected)


@given(shift=st.floats(-5, 5))
def test_a_constant_added_to_a_row_changes_nothing(shift):
    moved = GOLDEN.clone()
    moved[1] += shift
    torch.testing.assert_close(by_scores(moved, diagonal(3)).losses, by_scores(GOLDEN, diagonal(3)).losses)


@pytest.mark.parametrize("columns", [1, 2, 7])
def test_equal_logits_give_the_log_of_the_valid_columns(columns):
    scores = torch.full((1, columns), 0.3, dtype=torch.float64)
    assert by_scores(scores, diagonal(1, columns)).losses.item() == pytest.approx(math.log(columns), abs=1e-12)


@given(positive=st.floats(-1, 1), negative=st.floats(-1, 1))
def test_one_negative_gives_a_softplus(positive, negative):
    scores = torch.tensor([[positive, negative]], dtype=torch.float64)
    expected = softplus(torch.tensor((negative - positive) / 0.1, dtype=torch.float64))
    torch.testing.assert_close(by_scores(scores, diagonal(1, 2)).losses[0], expected)


def test_gte_cannot_fall_below_log_two_and_gets_there():
    far_apart = torch.eye(4, dtype=torch.float64)
    objective = InfoNCE(temperature=0.01, directions="gte")
    assert objective(far_apart, far_apart, diagonal(4)).item() == pytest.approx(math.log(2), abs=1e-9)
    for seed in range(5):
        assert objective(*random_vectors((4, 4), seed), diagonal(4)).item() >= math.log(2)


def test_gte_of_one_pair_is_log_two_without_gradient():
    inputs = [vectors.requires_grad_() for vectors in random_vectors((1, 1), 0)]
    loss = InfoNCE(directions="gte")(*inputs, diagonal(1))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2), abs=1e-12)
    assert all(vectors.grad.abs().max() < 1e-12 for vectors in inputs)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_symmetric_is_the_mean_of_both_directions_and_the_clip_loss(temperature):
    anchors, candidates = random_vectors((5, 5), 2)
    forth, back = InfoNCE(temperature=temperature), InfoNCE(temperature=temperature, directions="symmetric")
    both = (forth(anchors, candidates, diagonal(5)) + forth(candidates, anchors, diagonal(5))) / 2
    torch.testing.assert_close(back(anchors, candidates, diagonal(5)), both)
    left, right = (torch.nn.functional.normalize(vectors, dim=1) for vectors in (anchors, candidates))
    logits, target = left @ right.T / temperature, torch.arange(5)
    clip = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
    torch.testing.assert_close(back(anchors, candidates, diagonal(5)), clip)


def test_hard_negatives_count_along_rows_but_have_no_column_of_their_own():
    anchors, candidates = random_vectors((2, 3), 4)
    known = relation([[1, None, 0], [None, 1, None]], origins=[Origin.IN_BATCH, Origin.IN_BATCH, Origin.HARD])
    rows = InfoNCE(temperature=0.2).rows(anchors, candidates, known)
    columns = InfoNCE(temperature=0.2).rows(candidates[:2], anchors, diagonal(2))
    found = InfoNCE(temperature=0.2, directions="symmetric").rows(anchors, candidates, known)
    torch.testing.assert_close(found, (rows + columns) / 2)


@pytest.mark.parametrize(
    ("directions", "theirs", "partition", "negatives"),
    [
        ("query_to_document", ("query_to_doc",), "joint", 0),
        ("query_to_document", ("query_to_doc",), "joint", 1),
        ("symmetric", ("query_to_doc", "doc_to_query"), "per_direction", 0),
        ("symmetric", ("query_to_doc", "doc_to_query"), "per_direction", 1),
        ("gte", ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"), "joint", 0),
    ],
)
def test_sentence_transformers_computes_the_same_loss_and_gradient(directions, theirs, partition, negatives):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    reference = MultipleNegativesRankingLoss(None, scale=20.0, directions=theirs, partition_mode=partition)
    size = 6
    anchors, candidates = random_vectors((size, size * (1 + negatives)), 8)
    ours = [vectors.clone().requires_grad_() for vectors in (anchors, candidates)]
    yours = [vectors.clone().requires_grad_() for vectors in (anchors, candidates)]
    loss = InfoNCE(temperature=0.05, directions=directions)(*ours, diagonal(size, size * (1 + negatives)))
    expected = reference.compute_loss_from_embeddings([yours[0], *yours[1].split(size)], labels=None)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    for one, other in zip(ours, yours, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("directions", DIRECTIONS)
def test_single_precision_under_autocast_is_single_precision(directions):
    anchors, candidates = random_vectors((8, 8), 5, dim=32)
    objective = InfoNCE(temperature=0.05, directions=directions)
    exact = objective(anchors, candidates, diagonal(8))
    with torch.autocast("cpu", torch.bfloat16):
        single = objective(anchors.float(), candidates.float(), diagonal(8))
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(exact.item(), rel=2e-6)


def test_half_precision_vectors_are_compared_in_single_precision():
    anchors, candidates = (vectors.bfloat16() for vectors in random_vectors((8, 8), 6, dim=32))
    found = InfoNCE()(anchors, candidates, diagonal(8))
    expected = InfoNCE()(anchors.double(), candidates.double(), diagonal(8))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=2e-6)
