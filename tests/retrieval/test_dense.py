import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.events import Progress
from nearfar.retrieval.dense import search
from nearfar.types import Hits


def brute_force(queries, documents, k, *, tie_order=None, exclude=None, similarity="dot") -> Hits:
    """Every pair scored in float64 and sorted as a list of tuples."""
    order = np.arange(len(documents)) if tie_order is None else tie_order
    found = np.full((len(queries), k), -1, np.int32)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    for row, query in enumerate(queries.astype(np.float64)):
        pairs = []
        for number, document in enumerate(documents.astype(np.float64)):
            score = float(query @ document)
            if similarity == "cosine":
                lengths = np.linalg.norm(query) * np.linalg.norm(document)
                score = score / lengths if lengths > 0 else 0.0
            if exclude is None or exclude[row] != number:
                pairs.append((-score, order[number], number))
        for place, (score, _, number) in enumerate(sorted(pairs)[:k]):
            found[row, place], scores[row, place] = number, -score
    return Hits(found, scores)


def vectors(rows, width, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_integer_vectors_with_many_ties_match_brute_force(data):
    queries, documents = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 40))
    generator = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    high = data.draw(st.integers(1, 3))
    left = generator.integers(-high, high + 1, (queries, 3)).astype(np.float32)
    right = generator.integers(-high, high + 1, (documents, 3)).astype(np.float32)
    tie_order = generator.permutation(documents) if data.draw(st.booleans()) else None
    exclude = generator.integers(-1, documents, queries) if data.draw(st.booleans()) else None
    k = data.draw(st.integers(1, 45))
    expected = brute_force(left, right, k, tie_order=tie_order, exclude=exclude)
    hits = search(
        left,
        right,
        k,
        similarity="dot",
        tie_order=tie_order,
        exclude=exclude,
        query_block=data.draw(st.integers(1, 7)),
        document_block=data.draw(st.integers(1, 45)),
    )
    np.testing.assert_array_equal(hits.documents, expected.documents)
    np.testing.assert_array_equal(hits.scores, expected.scores)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("document_block", [7, 100, 1_000])
def test_real_vectors_match_brute_force(similarity, document_block):
    queries, documents = vectors(20, 16), vectors(300, 16, seed=1)
    expected = brute_force(queries, documents, 10, similarity=similarity)
    hits = search(queries, documents, 10, similarity=similarity, document_block=document_block, query_block=6)
    np.testing.assert_array_equal(hits.documents, expected.documents)
    np.testing.assert_allclose(hits.scores, expected.scores, atol=1e-5)


def test_when_all_documents_tie_the_tie_order_decides_whatever_the_blocks():
    documents = np.ones((500, 4), np.float32)
    order = np.random.default_rng(5).permutation(500)
    expected = np.argsort(order)[:20].tolist()
    for block in (1, 19, 20, 21, 128, 500, 10_000):
        hits = search(documents[:70], documents, 20, tie_order=order, document_block=block, query_block=70)
        assert hits.documents.tolist() == [expected] * 70


def test_equal_places_in_the_tie_order_leave_it_to_the_row():
    documents = np.ones((6, 2), np.float32)
    hits = search(documents[:1], documents, 4, tie_order=np.array([3, 1, 1, 3, 1, 0]))
    assert hits.documents.tolist() == [[5, 1, 2, 4]]


def test_minus_zero_ties_with_zero():
    documents = np.array([[-0.0, 1.0], [0.0, 1.0], [-0.0, 2.0]], np.float32)
    hits = search(np.array([[-1.0, 0.0]], np.float32), documents, 2, similarity="dot", document_block=2)
    assert hits.documents.tolist() == [[0, 1]]


def test_fewer_documents_than_k_leave_empty_places():
    hits = search(vectors(2, 3), vectors(3, 3), 5)
    assert (hits.documents[:, 3:] == -1).all()
    assert np.isneginf(hits.scores[:, 3:]).all()
    assert np.sort(hits.documents[:, :3], axis=1).tolist() == [[0, 1, 2]] * 2


def test_no_documents_and_no_queries():
    nothing = np.zeros((0, 3), np.float32)
    assert search(vectors(2, 3), nothing, 2).documents.tolist() == [[-1, -1]] * 2
    assert search(nothing, vectors(2, 3), 2).documents.shape == (0, 2)


def test_an_excluded_document_is_left_out_and_its_place_is_filled():
    documents = vectors(50, 8)
    full = search(documents, documents, 3)
    assert full.documents[:, 0].tolist() == list(range(50))
    exclude = np.arange(50)
    exclude[7] = -1
    hits = search(documents, documents, 2, exclude=exclude, document_block=13)
    expected = full.documents[:, 1:].copy()
    expected[7] = full.documents[7, :2]
    np.testing.assert_array_equal(hits.documents, expected)


def test_excluding_the_only_document_leaves_no_hit():
    hits = search(vectors(1, 2), vectors(1, 2), 1, exclude=np.array([0]))
    assert hits.documents.tolist() == [[-1]]
    assert np.isneginf(hits.scores).all()


def test_a_zero_vector_scores_zero_under_cosine():
    documents = np.array([[0, 0], [1, 0], [-1, 0]], np.float32)
    queries = np.array([[1, 0], [0, 0]], np.float32)
    hits = search(queries, documents, 3)
    assert hits.documents.tolist() == [[1, 0, 2], [0, 1, 2]]
    assert hits.scores.tolist() == [[1, 0, -1], [0, 0, 0]]


@pytest.mark.parametrize("scale", [1e-30, 1e30, 1e-42])
def test_cosine_holds_for_tiny_and_huge_vectors(scale):
    queries = np.array([[3, 4]], np.float32)
    documents = np.array([[4, 3], [3, 4], [4, -3]], np.float32) * np.float32(scale)
    hits = search(queries, documents, 3)
    assert hits.documents.tolist() == [[1, 0, 2]]
    np.testing.assert_allclose(hits.scores, [[1, 0.96, 0]], atol=2e-3)


def test_memory_mapped_documents_give_the_same(tmp_path):
    queries, documents = vectors(5, 8), vectors(100, 8, seed=2)
    np.save(tmp_path / "vectors.npy", documents)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    hits = search(queries, mapped, 4, document_block=30)
    expected = search(queries, documents, 4, document_block=30)
    np.testing.assert_array_equal(hits.documents, expected.documents)
    np.testing.assert_array_equal(hits.scores, expected.scores)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused_with_their_rows(value):
    documents = vectors(20, 3)
    documents[[11, 14], 1] = value
    with pytest.raises(DataError, match="document rows 11, 14 hold NaN or infinity"):
        search(vectors(2, 3), documents, 2, document_block=10)
    with pytest.raises(DataError, match="query rows 11, 14 hold NaN"):
        search(documents, vectors(2, 3), 2)
    with pytest.raises(DataError, match="query rows 11 hold NaN"):
        search(documents, vectors(2, 3), 2, query_block=4)


def test_dot_products_that_float32_cannot_hold_are_refused():
    huge = np.full((2, 3), 1e25, np.float32)
    with pytest.raises(DataError, match="may exceed float32"):
        search(huge, huge, 1, similarity="dot")


def test_what_cannot_be_searched_is_refused():
    left, right = vectors(2, 3), vectors(4, 5)
    with pytest.raises(ShapeError, match=r"queries are \(2, 3\), documents \(4, 5\)"):
        search(left, right, 1)
    with pytest.raises(ShapeError, match="same width, at least 1"):
        search(left[:, :0], left[:, :0], 1)
    with pytest.raises(ConfigError, match=r"got 'cosin'\. Did you mean 'cosine'"):
        search(left, left, 1, similarity="cosin")
    with pytest.raises(ConfigError, match="must be at least 1, got 0"):
        search(left, left, 0)
    with pytest.raises(ConfigError, match="got 512 and 0"):
        search(left, left, 1, document_block=0)
    with pytest.raises(ShapeError, match="one entry for each of the 2 documents, it has 3"):
        search(left, left, 1, tie_order=np.arange(3))
    with pytest.raises(ShapeError, match="one entry for each of the 2 queries, it has 1"):
        search(left, left, 1, exclude=np.array([0]))
    with pytest.raises(ShapeError, match="one score for each of the 2 queries, it has 3"):
        search(left, left, 1, above=np.zeros(3, np.float32))
    with pytest.raises(DataError, match="it holds 2 at query 1"):
        search(left, left, 1, exclude=np.array([-1, 2]))


def test_progress_counts_documents():
    events = []

    class Listener:
        def emit(self, event) -> None:
            events.append(event)

    search(vectors(2, 3), vectors(25, 3), 2, document_block=10, sink=Listener())
    assert events == [Progress(task="search", done=done, total=25) for done in (0, 10, 20, 25)]
