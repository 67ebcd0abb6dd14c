"""Relations written as matrices, for tests."""

import torch
from hypothesis import strategies as st

from nearfar.types import Origin, Relation


def relation(grades, *, anchor_ids=None, candidate_ids=None, ignored=(), origins=None, positive_from=1.0):
    """A relation from rows of grades, in which None is unjudged. Identities are all different unless given."""
    anchors, candidates = len(grades), len(grades[0])
    judged = [(i, j, grade) for i, row in enumerate(grades) for j, grade in enumerate(row) if grade is not None]
    return Relation(
        anchor_ids=whole(range(anchors) if anchor_ids is None else anchor_ids),
        candidate_ids=whole(range(100, 100 + candidates) if candidate_ids is None else candidate_ids),
        rows=whole(i for i, _, _ in judged),
        columns=whole(j for _, j, _ in judged),
        grades=torch.tensor([float(grade) for _, _, grade in judged], dtype=torch.float32),
        origins=whole([Origin.IN_BATCH] * candidates if origins is None else origins),
        ignored_rows=whole(i for i, _ in ignored),
        ignored_columns=whole(j for _, j in ignored),
        positive_from=positive_from,
    )


def diagonal(size, columns=None):
    """Pair i belongs to anchor i; further columns are nobody's."""
    return relation([[1 if i == j else None for j in range(columns or size)] for i in range(size)])


def whole(values):
    return torch.tensor([int(value) for value in values], dtype=torch.int64)


@st.composite
def relations(draw, most=6):
    """Any relation: several positives, grades of 0, rows without positives, ignored pairs, equal texts anywhere."""
    anchors, candidates = draw(st.integers(1, most)), draw(st.integers(1, most))
    grade = st.sampled_from([None, None, 0, 1, 2])
    grades = draw(
        st.lists(st.lists(grade, min_size=candidates, max_size=candidates), min_size=anchors, max_size=anchors)
    )
    texts = st.integers(0, draw(st.sampled_from([3, 1000])))
    pairs = st.tuples(st.integers(0, anchors - 1), st.integers(0, candidates - 1))
    return relation(
        grades,
        anchor_ids=draw(st.lists(texts, min_size=anchors, max_size=anchors)),
        candidate_ids=draw(st.lists(texts, min_size=candidates, max_size=candidates)),
        ignored=draw(st.lists(pairs, max_size=4)),
        origins=draw(st.lists(st.sampled_from(list(Origin)), min_size=candidates, max_size=candidates)),
        positive_from=draw(st.sampled_from([1.0, 2.0])),
    )


DEGENERATE = {
    "no positives": relation([[None, None], [0, 0]]),
    "all ignored": relation([[None, None], [None, None]], ignored=[(0, 0), (0, 1), (1, 0), (1, 1)]),
    "one row without positives": relation([[1, None], [None, None]]),
    "one row ignored": relation([[1, None], [None, None]], ignored=[(1, 0), (1, 1)]),
    "no negatives": relation([[1, 1], [1, 1]]),
    "a positive and the rest ignored": relation([[1, None], [None, 1]], ignored=[(0, 1), (1, 0)]),
    "one pair": relation([[1]]),
    "one pair of equal texts": relation([[1]], anchor_ids=[5], candidate_ids=[5]),
    "every text the same": relation([[1, None], [None, 1]], anchor_ids=[5, 5], candidate_ids=[5, 5]),
    "one anchor twice": relation([[1, None], [None, 1]], anchor_ids=[5, 5]),
    "a hard negative alone": relation([[0]], origins=[Origin.HARD]),
}
"""Relations in which something is missing."""
