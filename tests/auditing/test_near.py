import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfar.auditing.near import COMMON, FEW, best_partner, similar_pairs

from .test_words import read


def members(text):
    listed = text.split()
    return {*listed, *zip(listed, listed[1:], strict=False)}  # noqa: RUF007


def jaccard(one, other):
    one, other = members(one), members(other)
    return len(one & other) / len(one | other) if one or other else 0.0


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), max_size=8).map(" ".join), min_size=1, max_size=14),
    st.sampled_from([0.2, 0.5, 0.7, 0.9, 1.0]),
)
def test_the_pairs_are_those_of_comparing_all_with_all(texts, similarity):
    pairs = similar_pairs(read(*texts), similarity, np.arange(len(texts)))
    expected = {
        (first, second): jaccard(texts[first], texts[second])
        for first in range(len(texts))
        for second in range(first + 1, len(texts))
        if jaccard(texts[first], texts[second]) >= similarity - 1e-12
    }
    found = dict(zip(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), pairs.similarity, strict=True))
    assert found.keys() == expected.keys()
    assert all(abs(found[pair] - expected[pair]) < 1e-12 for pair in expected)


def test_many_texts_from_one_mould_are_joined_without_comparing_all():
    texts = [f"the package {name} holds files for the build of one other thing" for name in range(3 * COMMON)]
    pairs = similar_pairs(read(*texts), 0.7, np.arange(len(texts)))
    assert set(pairs.first.tolist()) | set(pairs.second.tolist()) == set(range(len(texts)))
    assert len(pairs) <= len(texts) * FEW


def test_the_best_partner_is_the_first_in_order_among_equals():
    text, other = np.array([0, 0, 0, 4]), np.array([1, 2, 3, 2])
    similarity, order = np.array([0.8, 0.9, 0.9, 0.7]), np.array([0, 1, 3, 2, 4])
    assert other[best_partner(text, other, similarity, order)].tolist() == [3, 2]
