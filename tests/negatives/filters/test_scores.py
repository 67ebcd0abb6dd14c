"""Filters that hold a score against a limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.negatives.filters.scores import Absolute, AtLeast, BelowCrossEncoder, Guide, Judge, Margin, Percent
from nearfar.negatives.registry import parse_filter
from tests.negatives.jobs import job, kept_documents, one_list, reasons, without_positives

SCORE = st.integers(-200, 200).map(lambda number: number / 128)
SCORES = st.lists(SCORE, min_size=1, max_size=8)
SETTINGS = st.floats(0.05, 1.5)


def kept(part, scores, positive=1.0, name="teacher", positives=None):
    stuff, found = one_list(scores, positive, name=name, positives=positives)
    return kept_documents(part.apply(found, stuff))


def test_the_limit_itself_is_kept():
    assert kept(Absolute(at_most=0.1), [0.1, 0.2, -3.0]) == [0, 2]
    assert kept(AtLeast(floor=0.1), [0.1, 0.2, -3.0]) == [0, 1]
    assert kept(Margin(margin=0.05), [0.75, 0.7500001, 0.76], 0.8) == [0]
    assert kept(Percent(ratio=0.95), [0.76, 0.77, 0.8], 0.8) == [0]


def test_below_a_cross_encoder_score_means_below():
    part = BelowCrossEncoder(below=0.1)
    assert kept(part, [0.1, 0.09, 0.95], name="cross_encoder") == [1]


@pytest.mark.parametrize(
    ("part", "positive", "limit"),
    [
        (Percent(ratio=0.95), 0.8, 0.76),
        (Percent(ratio=0.95), -0.2, -0.21),
        (Margin(margin=0.05), 0.8, 0.75),
        (Margin(margin=0.05), -0.2, -0.25),
        (Margin(margin=0.05, kind="relative"), 0.8, 0.76),
        (Margin(margin=0.05, kind="relative"), -0.2, -0.21),
        (Percent(), 0.0, 0.0),
        (Margin(margin=-0.1), 0.8, 0.9),
    ],
)
def test_limits_of_positives(part, positive, limit):
    _, found = one_list([0.0], positive)
    assert part.limits(found) == pytest.approx([limit], abs=1e-7)


def test_a_negative_score_does_not_turn_the_comparison_round():
    """0.95 times -0.2 is -0.19, above the positive."""
    assert kept(Percent(ratio=0.95), [-0.19, -0.2, -0.205, -0.22], -0.2) == [3]


@pytest.mark.parametrize(("how", "expected"), [("min", [2]), ("max", [0, 1, 2]), ("mean", [1, 2])])
def test_which_positive_counts(how, expected):
    assert kept(Margin(margin=0.0, positive=how), [0.8, 0.6, 0.3], positives=[0.9, 0.4]) == expected


def test_the_positive_of_the_pair():
    stuff, found = job(3, pairs=True, unknown=0.0)
    after = Margin(margin=0.0, positive="pair").apply(found, stuff)
    own = {
        (query, document): score
        for query, document, score in zip(
            found.positives.query, found.positives.document, found.positives.scores["teacher"], strict=True
        )
    }
    for row in np.flatnonzero(found.kept):
        limit = own[found.query[row], found.positive[row]]
        assert after.kept[row] == (found.score("teacher")[row] <= limit)


def test_guide_and_judge_are_margins_by_another_score():
    assert kept(Guide(), [0.9, 0.8, 0.7], 0.8, name="guide") == [1, 2]
    assert kept(Judge(margin=0.01), [0.8, 0.795, 0.78], 0.8, name="judge") == [2]
    stuff, found = one_list([0.9], 0.8, name="guide")
    assert reasons(Guide().apply(found, stuff)) == ["GUIDE"]


def test_the_adaptive_margin_drops_what_is_near_and_not_what_is_far():
    """LG-ANNA's text has the inequality the wrong way round: a near-duplicate of the positive must vanish."""
    part = parse_filter("Percent(ratio=0.95, by=cross_encoder)")
    assert kept(part, [0.99, 0.2], 1.0, name="cross_encoder") == [1]
    assert kept(part, [0.5, 0.45], 0.48, name="cross_encoder") == [1]


@pytest.mark.parametrize("part", [Absolute(at_most=5.0), AtLeast(floor=-5.0), Percent(ratio=9.0), Margin(margin=-9.0)])
def test_what_is_not_known_is_not_compared(part):
    stuff, found = one_list([0.5, np.nan], 1.0)
    assert kept_documents(part.apply(found, stuff)) == [0]
    assert kept_documents(parse_filter(str(part)[:-1] + ", unscored=keep)").apply(found, stuff)) == [0, 1]


@pytest.mark.parametrize("part", [Percent(ratio=9.0), Margin(margin=-9.0), Margin(margin=-9.0, kind="relative")])
def test_a_positive_without_a_score(part):
    for stuff, found in (one_list([0.5, 0.1], np.nan), one_list([0.5, 0.1])):
        found = found if np.isnan(found.positives.scores["teacher"]).all() else without_positives(found)
        assert kept_documents(part.apply(found, stuff)) == []
        assert kept_documents(parse_filter(str(part)[:-1] + ", unscored=keep)").apply(found, stuff)) == [0, 1]


def test_the_worst_positive_leaves_nothing():
    assert kept(Percent(), [0.5, 0.4], 0.1) == []


@given(SCORES, SCORE)
def test_a_ratio_of_one_is_a_margin_of_nothing(scores, positive):
    expected = [place for place, score in enumerate(scores) if score <= positive]
    assert kept(Percent(ratio=1.0), scores, positive) == expected
    assert kept(Margin(margin=0.0), scores, positive) == expected
    assert kept(Margin(margin=0.0, kind="relative"), scores, positive) == expected


@given(SCORES, SCORE, SETTINGS, SETTINGS)
def test_stricter_settings_keep_less(scores, positive, one, other):
    low, high = sorted([one, other])
    for part in (Absolute(at_most=0.0), AtLeast(floor=0.0), Percent(), Margin(), Margin(kind="relative")):
        less, more = kept(part.at(low), scores, positive), kept(part.at(high), scores, positive)
        if part.stricter > 0:
            less, more = more, less
        assert set(less) <= set(more)


@settings(max_examples=30)
@given(SCORES, SCORE)
def test_at_its_edge_a_candidate_is_kept_and_beyond_it_is_not(scores, positive):
    stuff, found = one_list(scores, positive)
    for part in (Absolute(at_most=0.0), AtLeast(floor=0.0), Margin(), Percent(), Margin(kind="relative")):
        for place, edge in enumerate(part.edges(found)):
            if np.isnan(edge):
                assert positive == 0
            elif part.setting != "ratio" or edge > 0:
                assert part.at(float(edge)).apply(found, stuff).kept[place]
                beyond = float(edge) + part.stricter * 1e-3
                if part.setting != "ratio" or beyond > 0:
                    assert not part.at(beyond).apply(found, stuff).kept[place]


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Percent(ratio=0)", "Percent: ratio must be a number above 0, got 0"),
        ("Percent(ratio=high)", "Percent: ratio must be a number, got 'high'"),
        ("Percent(positive=median)", "positive must be one of min, max, mean, pair, got 'median'"),
        ("Margin(kind=share)", "Margin: kind must be absolute or relative"),
        ("Judge(unscored=maybe)", "Judge: unscored must be drop or keep, got 'maybe'"),
        ("Absolute", "Absolute cannot do without at_most"),
        ("Percnt()", "Unknown filter 'Percnt'. Did you mean 'Percent'"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_filter(text)


def test_a_score_that_nobody_gave_is_named():
    stuff, found = one_list([0.5])
    with pytest.raises(ConfigError, match=r"no score 'judge'.*add one of that name to scorers"):
        Judge().apply(found, stuff)
