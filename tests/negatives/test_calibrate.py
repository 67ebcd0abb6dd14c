"""How much a filter removes, and which value of its setting would remove so much."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError, DataError
from nearfar.negatives.calibrate import Removal, check_not_empty, doubts, propose, removal, removals
from nearfar.negatives.candidates import Reason
from nearfar.negatives.filters.consistency import Consistency
from nearfar.negatives.filters.scores import Absolute, AtLeast, BelowCrossEncoder, Judge, Margin, Percent
from nearfar.negatives.registry import parse_filter
from nearfar.negatives.windows import Window
from tests.negatives.jobs import empty, job, one_list

TEN = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]


def test_a_table_of_removal_rates():
    stuff, found = one_list(TEN, 1.0)
    assert removals(Percent(), [0.95, 0.55], found, stuff) == (
        Removal(filter="Percent(ratio=0.95)", removed=0.1, queries=1),
        Removal(filter="Percent(ratio=0.55)", removed=0.5, queries=1),
    )
    assert removal(Absolute(at_most=0.0), found, stuff).queries == 0
    assert removal(Percent(), empty(found), stuff) == Removal(filter="Percent(ratio=0.95)", removed=0.0, queries=0)


@pytest.mark.parametrize(
    ("part", "proposed"),
    [
        (Percent(), "Percent(ratio=0.7)"),
        (Absolute(at_most=9.0), "Absolute(at_most=0.7)"),
        (AtLeast(floor=9.0), "AtLeast(floor=0.4)"),
        (Margin(), "Margin(margin=0.3)"),
        (Margin(kind="relative"), "Margin(margin=0.3, kind=relative)"),
    ],
)
def test_a_proposal_for_three_of_ten(part, proposed):
    stuff, found = one_list(TEN, 1.0)
    got = propose(part, 0.3, found)
    assert removal(got, found, stuff).removed == pytest.approx(0.3)
    assert str(got) == proposed


@settings(max_examples=40)
@given(st.integers(0, 500), st.floats(0, 1))
def test_a_proposal_removes_about_what_was_asked_for(seed, rate):
    stuff, found = job(seed, queries=8, depth=12, documents=60)
    kept = int(found.kept.sum())
    for part in (Absolute(at_most=9.0), AtLeast(floor=9.0), Percent(positive="max"), Judge()):
        assume(np.isfinite(part.edges(found)[found.kept]).any())
        lost = np.isnan(part.edges(found)[found.kept]).mean()
        try:
            got = removal(propose(part, rate, found), found, stuff).removed
        except ConfigError:
            assert part.setting == "ratio"
            continue
        assert got <= max(rate, lost) + 1e-9
        assert got >= rate - 0.01 - 2 / kept


def test_a_proposal_of_small_and_of_large_scores():
    for scale in (1e-5, 1.0, 1e4):
        stuff, found = one_list([scale * score for score in TEN])
        got = propose(Absolute(at_most=0.0), 0.3, found)
        assert removal(got, found, stuff).removed == pytest.approx(0.3, abs=1e-9)
        assert len(str(got)) < 30


def test_proposals_that_cannot_be_made():
    stuff, found = one_list([0.5, 0.4], np.nan)
    with pytest.raises(DataError, match=r"No candidate that reaches Percent\(ratio=0.95\) can be compared"):
        propose(Percent(), 0.5, found)
    with pytest.raises(ConfigError, match=r"a share from 0 to 1, got 50"):
        propose(Percent(), 50.0, found)
    assert stuff.seed == 0


def said(scores, *parts, positive=0.1, name="teacher", before=()):
    """What is said of a job that these filters leave nothing of."""
    stuff, found = one_list(scores, positive, name=name)
    found = found.drop(np.isin(np.arange(len(scores)), before), Reason.POSITIVE)
    for part in parts:
        found = part.apply(found, stuff)
    with pytest.raises(DataError) as error:
        check_not_empty(found, parts, stuff)
    return str(error.value)


def test_a_threshold_that_drops_everything_is_said_with_another():
    message = said(TEN[:8], Percent(ratio=0.95), positive=0.2, before=[7])
    assert message == (
        "No query keeps a negative. What became of 8 candidates: 1 POSITIVE, 7 PERCENT. Percent(ratio=0.95) dropped "
        "88 % of the candidates. Percent(ratio=3.5) would drop 43 % of what reached it."
    )


def test_what_later_filters_dropped_had_reached_the_worst():
    parts = Percent(ratio=0.95), AtLeast(floor=0.5)
    message = said([0.9, 0.8, 0.7, 0.1], *parts, positive=0.3)
    assert "3 PERCENT" in message
    assert "1 ABSOLUTE" in message
    assert "would drop 25 % of what reached it" in message


def test_a_scorer_that_scores_everything_equal():
    assert "The score 'judge' is the same for all of them" in said([0.5] * 3, Judge(), positive=0.5, name="judge")


def test_scores_that_nobody_knows():
    assert "'cross_encoder' is not known of any candidate; unscored=keep" in said(
        [np.nan] * 2, BelowCrossEncoder(), name="cross_encoder"
    )
    assert "'teacher' is not known of any positive" in said([0.5, 0.4], Percent(), positive=np.nan)


def test_other_filters_get_other_advice():
    assert "Leave it out, make it milder" in said([0.5], Consistency())
    assert "Window(first=5) dropped 100 % of the candidates" in said([0.5], Window(first=5))
    assert "the sources do not go deep enough" in said([0.5], before=[0])
    assert "the sources do not go deep enough" in said([0.5], Percent(), before=[0])


def test_no_candidates_at_all_and_some_left():
    stuff, found = one_list([0.5])
    with pytest.raises(DataError, match="No source proposed a candidate"):
        check_not_empty(empty(found), [], stuff)
    check_not_empty(found, [], stuff)


def test_a_job_that_leaves_most_queries_without_a_negative_is_doubted():
    stuff, found = job(4, queries=8, depth=4, documents=60, unknown=0.0)
    filters = [Percent(ratio=0.01)]
    after = filters[0].apply(found, stuff)
    left = len(np.unique(after.query[after.kept]))
    assert left < 4
    message = doubts(after, filters, stuff)
    assert message.startswith(f"{8 - left} of 8 queries have no negative. Percent(ratio=0.01) dropped ")
    proposed = parse_filter(message.split(". ")[-1].partition(" would drop")[0])
    assert removal(proposed, found, stuff).removed < removal(filters[0], found, stuff).removed
    assert doubts(found, filters, stuff) == ""
    assert doubts(after, [], stuff) == ""
