"""Which dropped candidates are to be ignored in training."""

import numpy as np
import pytest

from nearfar.negatives.candidates import Reason
from nearfar.negatives.closure import Closure
from nearfar.negatives.lists import by_pair, from_sources
from nearfar.negatives.registry import parse_filter
from nearfar.negatives.suspects import suspects
from tests.data.memory import make

PERCENT = (parse_filter("Percent"),)


def found(*documents):
    """Candidates of two queries, best first; their score falls from 0 on, by 1 a row."""
    dataset = make(
        ["zero", "one"], [f"text {number}" for number in range(10)], {"train": [(0, 0, 1), (0, 1, 1), (1, 2, 1)]}
    )
    closure = Closure(dataset)
    hits = np.array(documents, dtype=np.int32)
    scores = -np.arange(hits.size, dtype=np.float32).reshape(hits.shape)
    return closure.apply(from_sources(closure.queries, [(hits, scores)], closure.positives))


def dropped(candidates, reason, *pairs):
    for query, document in pairs:
        candidates = candidates.drop((candidates.query == query) & (candidates.document == document), reason)
    return candidates


def pairs_of(candidates, which):
    return list(zip(candidates.query[which].tolist(), candidates.document[which].tolist(), strict=True))


def test_the_hardest_of_each_list_that_a_filter_suspects():
    candidates = dropped(found([4, 5, 6, 7], [8, 7, 6, 5]), Reason.PERCENT, (0, 5), (0, 6), (0, 7), (1, 5))
    assert pairs_of(candidates, suspects(candidates, PERCENT, 2)) == [(0, 5), (0, 6), (1, 5)]
    assert pairs_of(candidates, suspects(candidates, PERCENT, 20)) == [(0, 5), (0, 6), (0, 7), (1, 5)]
    turned = candidates.with_scores("judge", np.array([0, np.nan, 1, 2, 0, 0, 0, 0], dtype=np.float32))
    assert pairs_of(turned, suspects(turned, PERCENT, 2, "judge")) == [(0, 6), (0, 7), (1, 5)]


@pytest.mark.parametrize(
    ("reason", "filters"),
    [
        (Reason.PERCENT, ["Percent"]),
        (Reason.MARGIN, ["Margin"]),
        (Reason.GUIDE, ["Guide"]),
        (Reason.JUDGE, ["Judge"]),
        (Reason.CROSS_ENCODER, ["BelowCrossEncoder"]),
        (Reason.NOISE, ["Noise"]),
        (Reason.ABSOLUTE, ["AtLeast(floor=0.1)", "Absolute(at_most=0.8)"]),
    ],
)
def test_reasons_that_are_a_suspicion(reason, filters):
    candidates = dropped(found([4, 5], [6, 7]), reason, (0, 5))
    assert pairs_of(candidates, suspects(candidates, [parse_filter(text) for text in filters], 20)) == [(0, 5)]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason.ABSOLUTE, "AtLeast(floor=0.1)"),
        (Reason.CONSISTENCY, "Consistency"),
        (Reason.CONTAMINATED, "Contaminated"),
        (Reason.BUDGET, "Percent"),
        (Reason.RELABELLED, "Percent"),
    ],
)
def test_reasons_that_are_none(reason, text):
    candidates = dropped(found([4, 5], [6, 7]), reason, (0, 5))
    assert not suspects(candidates, [parse_filter(text)], 20).any()


def test_what_another_list_of_the_query_keeps_is_its_negative():
    candidates = by_pair(found([4, 5], [6, 7]))
    candidates = candidates.drop((candidates.positive == 0), Reason.PERCENT)
    assert not suspects(candidates, PERCENT, 20).any()
    candidates = candidates.drop(candidates.document == 5, Reason.PERCENT)
    assert pairs_of(candidates, suspects(candidates, PERCENT, 20)) == [(0, 5), (0, 5)]


def test_no_candidates_no_suspects():
    assert len(suspects(found([-1], [-1]), PERCENT, 20)) == 0
