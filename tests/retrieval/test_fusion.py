from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import ConfigError, ShapeError
from nearfar.retrieval.fusion import fuse
from nearfar.types import Hits


def hits(*rankings, depth=0) -> Hits:
    width = max([depth, *map(len, rankings)])
    documents = np.array([[*ranking, *[-1] * (width - len(ranking))] for ranking in rankings], np.int32)
    documents = documents.reshape(len(rankings), width)
    return Hits(documents, np.where(documents >= 0, 0.0, -np.inf).astype(np.float32))


def test_ranks_count_from_one():
    fused = fuse(hits([5, 6, 7]), hits([8, 9, 5]), k=1)
    assert fused.documents.tolist() == [[5]]
    assert fused.scores[0, 0] == pytest.approx(0.032266, abs=5e-7)


def test_equal_sums_are_ordered_by_row_and_short_rows_are_filled():
    fused = fuse(hits([9, 3], []), hits([3, 9], [4]), k=3)
    assert fused.documents.tolist() == [[3, 9, -1], [4, -1, -1]]
    assert fused.scores[0, 0] == fused.scores[0, 1]
    assert np.isneginf(fused.scores[:, 2]).all()


def test_one_ranking_keeps_its_order_and_a_smaller_constant_favours_first_places():
    assert fuse(hits([4, 2, 8]), k=3).documents.tolist() == [[4, 2, 8]]
    first, second = hits([1, 2, 3]), hits([4, 2, 3])
    assert fuse(first, second, k=1).documents.tolist() == [[2]]
    assert fuse(first, second, k=1, constant=0.0).documents.tolist() == [[1]]


ranking = st.lists(st.integers(0, 12), unique=True, max_size=8)


@given(st.lists(st.lists(ranking, min_size=2, max_size=2), min_size=1, max_size=4), st.integers(1, 14))
def test_sums_match_fractions_and_the_order_of_rankings_does_not_matter(systems, k):
    rankings = [hits(*system, depth=8) for system in systems]
    fused = fuse(*rankings, k=k)
    for row in range(2):
        sums: dict[int, Fraction] = {}
        for system in systems:
            for place, document in enumerate(system[row], start=1):
                sums[document] = sums.get(document, Fraction(0)) + Fraction(1, 60 + place)
        expected = sorted(sums, key=lambda document: (-sums[document], document))[:k]
        assert [document for document in fused.documents[row].tolist() if document >= 0] == expected
        np.testing.assert_allclose(fused.scores[row, : len(expected)], [float(sums[d]) for d in expected], rtol=1e-6)
    again = fuse(*rankings[::-1], k=k)
    np.testing.assert_array_equal(fused.documents, again.documents)
    np.testing.assert_array_equal(fused.scores, again.scores)


def test_what_cannot_be_fused_is_refused():
    with pytest.raises(ConfigError, match="at least one ranking"):
        fuse(k=3)
    with pytest.raises(ConfigError, match="must not be negative, got -1"):
        fuse(hits([1]), k=3, constant=-1.0)
    with pytest.raises(ConfigError, match="got 0"):
        fuse(hits([1]), k=0)
    with pytest.raises(ShapeError, match=r"they have \[1, 2\] queries"):
        fuse(hits([1]), hits([1], [2]), k=1)
