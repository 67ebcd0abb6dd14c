import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfar.retrieval.ranking import best_of, tie_ranks


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_best_are_exact_with_ties_at_the_last_place(scores, k, random):
    documents = list(range(len(scores)))
    order = random.sample(documents, len(documents))
    ranks = tie_ranks(np.array(order), len(documents))
    expected = sorted(documents, key=lambda number: (-scores[number], order[number]))[:k]
    found, values = best_of(np.array(documents, np.int32), np.array(scores, np.float32), k, ranks)
    assert found.tolist() == expected
    assert values.tolist() == [scores[number] for number in expected]


def test_no_document_comes_after_every_document():
    assert tie_ranks(np.array([7, 7, 2]), 3).tolist() == [1, 2, 0, 3]
    assert tie_ranks(None, 2).tolist() == [0, 1, 2]
