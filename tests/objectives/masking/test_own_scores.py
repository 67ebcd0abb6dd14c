"""False negatives and hardest negatives by the model's own similarities."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.errors import ConfigError
from nearfar.objectives import parse
from nearfar.objectives.masking.own_scores import HardestNegatives, ScoreMask
from nearfar.objectives.memory import Memory
from tests.objectives.relations import relation
from tests.oracles.cases import cases, scored
from tests.oracles.slow.softmax_extended import thinned

ONE = relation([[1, None, None, None, None]])


def left(part, scores, known=ONE):
    """Which pairs are left of given similarities, as 0 and 1."""
    return part.apply(scored(torch.tensor(scores, dtype=torch.float64), known), Memory({})).valid.int().tolist()


def test_what_beats_the_positive_by_more_than_the_margin_is_out():
    # .2 above the positive is absent, .05 above is present, and so is what ties with the limit.
    assert left(ScoreMask(margin=-0.125), [[0.5, 0.7, 0.55, 0.625, 0.1]]) == [[1, 0, 1, 1, 1]]


def test_a_margin_below_the_positive_is_that_of_mining():
    assert left(ScoreMask(margin=0.25), [[0.5, 0.5, 0.26, 0.25, -1.0]]) == [[1, 0, 0, 1, 1]]
    assert left(ScoreMask(margin=0.25, margin_strategy="relative"), [[0.5, 0.5, 0.376, 0.375, 0.25]]) == [
        [1, 0, 0, 1, 1]
    ]


def test_a_relative_margin_lies_below_a_positive_below_zero_too():
    assert left(ScoreMask(margin=0.5, margin_strategy="relative"), [[-0.5, -0.5, -0.7, -0.75, -0.8]]) == [
        [1, 0, 0, 1, 1]
    ]


def test_the_least_positive_counts_and_positives_stay_whatever_the_margin():
    known = relation([[1, 1, None, None], [None, None, None, None]])
    assert left(ScoreMask(margin=0.0), [[0.9, 0.2, 0.5, 0.1], [1, 1, 1, 1]], known) == [[1, 1, 0, 1], [1, 1, 1, 1]]
    assert left(ScoreMask(margin=100.0), [[0.9, 0.2, 0.5, 0.1], [1, 1, 1, 1]], known)[0] == [1, 1, 0, 0]


def test_what_is_ignored_is_not_brought_back():
    known = relation([[1, None, None]], ignored=[(0, 1)])
    assert left(ScoreMask(), [[0.5, 0.1, 0.2]], known) == [[1, 0, 1]]
    assert left(HardestNegatives(count=1), [[0.5, 0.9, 0.2]], known) == [[1, 0, 1]]


def test_each_side_among_itself_is_held_to_the_same_measure():
    known = relation([[1, None], [None, 1]])
    anchors = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    candidates = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    problem = replace(
        scored(anchors @ candidates.T, known),
        anchors=anchors,
        candidates=candidates,
        among_anchors=~torch.eye(2, dtype=torch.bool),
        among_candidates=~torch.eye(2, dtype=torch.bool),
    )
    found = ScoreMask(margin=0.0).apply(problem, Memory({}))
    # Positives are at .5 and .8; the anchors are at .6 to one another, the candidates at .5.
    assert found.among_anchors.tolist() == [[False, False], [True, False]]
    assert found.among_candidates.tolist() == [[False, True], [True, False]]


def test_the_hardest_stay_and_of_equal_ones_the_first():
    assert left(HardestNegatives(count=2), [[0.5, 0.1, 0.7, 0.1, 0.3]]) == [[1, 0, 1, 0, 1]]
    assert left(HardestNegatives(count=2), [[0.5, 0.1, 0.1, 0.7, 0.1]]) == [[1, 1, 0, 1, 0]]
    assert left(HardestNegatives(count=3), [[0.5, 0.1, 0.1, 0.1, 0.1]]) == [[1, 1, 1, 1, 0]]


@pytest.mark.parametrize("count", [3, 4, 5, 6, 1000])
def test_more_than_there_are_brings_nothing_back(count):
    known = relation([[1, None, None, None, None]], ignored=[(0, 3)])
    assert left(HardestNegatives(count=count), [[0.5, 0.1, 0.7, 0.9, 0.3]], known) == [[1, 1, 1, 0, 1]]


def test_a_row_without_negatives_and_one_without_positives():
    known = relation([[1, 1, 1], [None, None, None]])
    assert left(HardestNegatives(count=1), [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]], known) == [[1, 1, 1], [1, 0, 0]]


def test_a_similarity_that_is_no_number_stays_so_that_the_loss_shows_it():
    for part in (ScoreMask(), HardestNegatives(count=2)):
        assert left(part, [[0.5, 0.4, float("nan"), 0.3, 0.2]])[0][2] == 1


@settings(max_examples=60, deadline=None)
@given(
    case=cases(most=6),
    margin=st.sampled_from([0.0, 0.1, -0.05, 0.5]),
    strategy=st.sampled_from(["absolute", "relative"]),
    hardest=st.sampled_from([1, 2, 3, 9]),
    places=st.sampled_from([1, 12]),
)
def test_against_loops(case, margin, strategy, hardest, places):
    similarity, positive, valid = case.arrays()
    similarity = similarity.round(places)  # one place: many ties
    problem = scored(torch.from_numpy(similarity), case.known)
    masked = ScoreMask(margin=-margin, margin_strategy=strategy).apply(problem, Memory({}))
    first = thinned(similarity, positive, valid, margin=margin, margin_strategy=strategy)
    np.testing.assert_array_equal(masked.valid.numpy(), first)
    both = HardestNegatives(count=hardest).apply(masked, Memory({}))
    np.testing.assert_array_equal(
        both.valid.numpy(), thinned(similarity, positive, first, margin=np.inf, hardest=hardest)
    )


def test_the_decision_has_no_gradient_and_what_is_out_has_none_either():
    anchors = torch.tensor([[1.0, 0.0]], requires_grad=True)
    candidates = torch.tensor([[0.6, 0.8], [1.0, 0.1], [0.5, 0.9], [0.0, 1.0]], requires_grad=True)
    parse("UniME(margin=0.1, hardest=1)")(anchors, candidates, relation([[1, None, None, None]])).backward()
    assert (candidates.grad != 0).any(dim=1).tolist() == [True, False, True, False]


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ScoreMask(margin=wide)", "ScoreMask: margin must be a number, got 'wide'"),
        ("ScoreMask(margin_strategy=both)", "ScoreMask: margin_strategy must be absolute or relative, got 'both'"),
        ("HardestNegatives(count=0)", "HardestNegatives: count must be a whole number above 0, got 0"),
        ("HardestNegatives(count=1.5)", "HardestNegatives: count must be a whole number"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(f"Composition(criterion=Softmax, masks={text})")
