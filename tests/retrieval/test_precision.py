"""Exact search whatever the first pass rounds: independent float64 scores, near-ties, duplicates, blocks, threads."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.events import Message
from nearfar.retrieval.dense import search
from tests.retrieval.test_dense import brute_force, vectors

WAYS = ("float32", "reduced")


def same(left, right) -> None:
    assert left.documents.tobytes() == right.documents.tobytes()
    assert left.scores.tobytes() == right.scores.tobytes()


def near_ties(generator, rows, width, ulps=3):
    """Rows around one vector, a few steps of bfloat16 or of float32 away in some entries."""
    centre = generator.standard_normal(width).astype(np.float32)
    step = np.where(generator.random((rows, width)) < 0.5, 2.0**-8, 2.0**-23).astype(np.float32)
    return centre * (1 + step * generator.integers(-ulps, ulps + 1, (rows, width)).astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_precision_and_block_gives_the_same_bytes_and_the_true_best(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    width, documents = data.draw(st.sampled_from([1, 3, 16, 33])), data.draw(st.integers(1, 300))
    kind = data.draw(st.sampled_from(["spread", "near", "twins", "lengths"]))
    right = (
        near_ties(generator, documents, width) if kind == "near" else vectors(documents, width, generator.integers(99))
    )
    if kind == "twins":
        right = right[generator.integers(0, max(1, documents // 9), documents)]
    if kind == "lengths":
        right *= np.exp(4 * generator.standard_normal((documents, 1))).astype(np.float32)
    right[generator.random(documents) < 0.05] = 0
    left = np.concatenate([vectors(6, width, seed=5), near_ties(generator, 3, width), np.zeros((1, width), np.float32)])
    k, similarity = data.draw(st.integers(1, 40)), data.draw(st.sampled_from(["cosine", "dot"]))
    options = {
        "similarity": similarity,
        "tie_order": generator.permutation(documents) if data.draw(st.booleans()) else None,
        "exclude": generator.integers(-1, documents, len(left)) if data.draw(st.booleans()) else None,
    }
    first = search(left, right, k, precision="float32", **options)
    blocks = {"query_block": data.draw(st.integers(1, 12)), "document_block": data.draw(st.integers(1, 400))}
    same(search(left, right, k, precision="reduced", **options), first)
    same(search(left, right, k, precision="reduced", **options, **blocks), first)
    same(search(left, right, k, precision="float32", **options, **blocks), first)
    expected = brute_force(left, right, k, **options)
    size = np.linalg.norm(left, axis=1, keepdims=True) * max(1, np.linalg.norm(right, axis=1).max())
    allowed = 1e-5 * (size if similarity == "dot" else 1)
    here = np.isfinite(expected.scores)
    np.testing.assert_array_equal(np.isfinite(first.scores), here)
    difference = np.where(here, first.scores, 0) - np.where(here, expected.scores, 0)
    assert (np.abs(difference) <= allowed).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_more_documents_are_counted_above_a_limit_than_score_above_it(data):
    generator = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    width, documents = data.draw(st.sampled_from([1, 3, 16])), data.draw(st.integers(1, 300))
    near = data.draw(st.booleans())
    right = near_ties(generator, documents, width) if near else vectors(documents, width, seed=2)
    right[generator.random(documents) < 0.1] = 0
    left = np.concatenate([vectors(6, width, seed=5), np.zeros((1, width), np.float32)])
    options = {
        "similarity": data.draw(st.sampled_from(["cosine", "dot"])),
        "exclude": generator.integers(-1, documents, len(left)) if data.draw(st.booleans()) else None,
    }
    scores = search(left, right, documents, precision="float32", **options).scores
    limit = scores[np.arange(len(left)), generator.integers(0, documents, len(left))]
    limit[:2] = data.draw(st.sampled_from([0.0, -0.0, np.inf, -np.inf]))
    blocks = {"query_block": data.draw(st.integers(1, 12)), "document_block": data.draw(st.integers(1, 400))}
    for precision in WAYS:
        hits = search(left, right, 3, precision=precision, above=limit, **options, **blocks)
        assert (hits.above <= (scores > limit[:, None]).sum(axis=1)).all()
        same(hits, search(left, right, 3, precision=precision, **options, **blocks))


@pytest.mark.parametrize(("precision", "found"), [("float32", 0.85), ("reduced", 0.7)])
def test_most_documents_above_a_limit_are_counted(precision, found):
    queries, documents = vectors(20, 64), vectors(20_000, 64, seed=1)
    scores = search(queries, documents, 200).scores
    hits = search(queries, documents, 5, precision=precision, above=scores[:, 199].copy(), document_block=16_384)
    assert (hits.above >= found * 199).all()


@pytest.mark.parametrize("precision", WAYS)
def test_neighbours_one_bfloat16_step_apart_are_told_apart(precision):
    """Integers whose float32 scores are exact, and which bfloat16 cannot tell apart."""
    generator = np.random.default_rng(3)
    documents = (1024 + generator.integers(-3, 4, (3_000, 8))).astype(np.float32)
    queries = generator.integers(-2, 3, (40, 8)).astype(np.float32)
    expected = brute_force(queries, documents, 25)
    hits = search(queries, documents, 25, similarity="dot", precision=precision, document_block=700)
    same(hits, expected)


def test_where_bfloat16_is_not_enough_the_block_is_multiplied_again_and_a_message_says_so():
    generator = np.random.default_rng(0)
    close = (1 + 1e-3 * generator.standard_normal((4_000, 32))).astype(np.float32)
    messages = []

    class Listener:
        def emit(self, event) -> None:
            if isinstance(event, Message):
                messages.append(event.text)

    hits = search(close[:20], close, 5, precision="reduced", sink=Listener(), query_block=8, document_block=2_000)
    assert len(messages) == 1
    assert messages[0].startswith("Search: in 6 of 6 blocks scores lie too close together for bfloat16")
    same(hits, search(close[:20], close, 5, precision="float32", sink=Listener()))
    assert len(messages) == 1


@pytest.mark.parametrize("k", [700, 2_500])
def test_deep_rankings(k):
    queries, documents = vectors(3, 24), vectors(2_000, 24, seed=1)
    first = search(queries, documents, k, precision="float32")
    same(search(queries, documents, k, precision="reduced", document_block=900), first)
    expected = np.argsort(-(queries.astype(np.float64) @ (documents / np.linalg.norm(documents, axis=1)[:, None]).T))
    depth = min(k, 2_000)
    assert (first.documents[:, :depth] == expected[:, :depth]).mean() > 0.999
    assert (first.documents[:, depth:] == -1).all()


def test_later_documents_that_are_all_better_are_found():
    """The worst order for a floor that earlier blocks set."""
    documents = np.stack([np.linspace(0.1, 1, 5_000), np.full(5_000, 0.5)], axis=1).astype(np.float32)
    query = np.array([[1, 0]], np.float32)
    for precision in WAYS:
        hits = search(query, documents, 10, similarity="dot", precision=precision, document_block=1_000)
        assert hits.documents.tolist() == [list(range(4_999, 4_989, -1))]


@pytest.mark.parametrize("precision", WAYS)
def test_threads_change_nothing(precision):
    queries, documents = vectors(300, 48), vectors(3_000, 48, seed=2)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(search(queries, documents, 20, precision=precision, query_block=64))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    same(found[0], found[1])
    same(found[0], found[2])


def test_settings_of_the_user_that_allow_rounding_do_not_reach_the_proof():
    queries, documents = vectors(30, 64), vectors(2_000, 64, seed=2)
    expected = search(queries, documents, 20, precision="float32")
    kind = torch.backends.mkldnn.matmul
    before = kind.fp32_precision
    kind.fp32_precision = "bf16"
    try:
        same(search(queries, documents, 20, precision="float32"), expected)
        assert kind.fp32_precision == "bf16"
    finally:
        kind.fp32_precision = before


@pytest.mark.parametrize("scale", [1e-25, 1e-18, 1e18])
def test_dot_products_of_tiny_and_huge_vectors(scale):
    queries, documents = vectors(5, 16), vectors(500, 16, seed=4) * np.float32(scale)
    expected = brute_force(queries, documents, 10)
    for precision in WAYS:
        hits = search(queries, documents, 10, similarity="dot", precision=precision)
        np.testing.assert_array_equal(hits.documents, expected.documents)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match=r"got 'reduce'\. Did you mean 'reduced'"):
        search(vectors(2, 3), vectors(2, 3), 1, precision="reduce")
