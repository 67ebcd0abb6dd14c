"""Lists of candidates that were made apart, as one table. How they are made is tested with the candidates."""

import numpy as np

from nearfar.negatives.candidates import COLUMNS
from nearfar.negatives.lists import joined
from tests.negatives.jobs import SCORES, job


def test_parts_of_a_table_are_the_table_again():
    _, whole = job()
    queries = np.unique(np.concatenate([whole.query, whole.positives.query]))
    again = joined([whole.about(queries[place::3]) for place in range(3)])
    for name in COLUMNS:
        assert np.array_equal(getattr(again, name), getattr(whole, name)), name
    for name in SCORES:
        assert np.array_equal(again.score(name), whole.score(name), equal_nan=True), name
        assert np.array_equal(again.positives.scores[name], whole.positives.scores[name], equal_nan=True), name
    assert np.array_equal(again.positives.query, whole.positives.query)
    assert np.array_equal(again.positives.document, whole.positives.document)
    assert joined([whole]) is whole
