"""The default measures against their definitions in NumPy, written without looking at any library."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.evaluation.measures import per_query
from tests.evaluation.tiny import dataset, hits

DOCUMENTS = 9


def by_definition(ranking: list[int], grades: dict[int, float], cutoff: int) -> list[float]:
    """nDCG, R, RR, AP and Success at a cutoff."""
    relevant = {document for document, grade in grades.items() if grade >= 1}
    found = np.array([document in relevant for document in ranking[:cutoff]], dtype=float)
    places = np.arange(1, len(found) + 1)
    gains = np.array([grades[document] if document in relevant else 0.0 for document in ranking[:cutoff]])
    ideal = np.sort([grades[document] for document in relevant])[::-1][:cutoff]
    dcg = np.sum(gains / np.log2(places + 1))
    best = np.sum(ideal / np.log2(np.arange(1, len(ideal) + 1) + 1))
    first = np.flatnonzero(found)
    precision = np.cumsum(found) / places
    return [
        dcg / best,
        found.sum() / len(relevant),
        1 / (first[0] + 1) if len(first) else 0.0,
        np.sum(precision * found) / len(relevant),
        float(found.any()),
    ]


grades = st.dictionaries(st.integers(0, DOCUMENTS - 1), st.integers(0, 4), min_size=1).filter(
    lambda judged: max(judged.values()) >= 1
)
rankings = st.lists(st.integers(0, DOCUMENTS - 1), unique=True, max_size=DOCUMENTS)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(grades, rankings), min_size=1, max_size=4), st.integers(1, DOCUMENTS + 2))
def test_measures_agree_with_their_definitions(queries, cutoff):
    data = dataset({row: judged for row, (judged, _) in enumerate(queries)}, documents=DOCUMENTS)
    names = [f"{name}@{cutoff}" for name in ("nDCG", "R", "RR", "AP", "Success")]
    ranked = hits([ranking for _, ranking in queries], depth=DOCUMENTS)
    scores = per_query(ranked, np.arange(len(queries)), data, "test", names)
    expected = [by_definition(ranking, judged, cutoff) for judged, ranking in queries]
    np.testing.assert_allclose(scores.values, expected, rtol=0, atol=1e-12)
