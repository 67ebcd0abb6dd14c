"""False negatives by a guide."""

from dataclasses import replace

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.masking.guide import GuideMask
from nearfar.objectives.memory import Memory
from tests.objectives.relations import relation
from tests.oracles.cases import scored


def turned(*degrees):
    """Unit vectors in the plane."""
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def guided(known, anchors, candidates, **settings):
    problem = scored(torch.zeros(known.shape, dtype=torch.float64), known)
    problem = replace(problem, guide_anchors=turned(*anchors), guide_candidates=turned(*candidates))
    problem = replace(
        problem,
        among_anchors=~torch.eye(len(anchors), dtype=torch.bool),
        among_candidates=~torch.eye(len(candidates), dtype=torch.bool),
    )
    return GuideMask(**settings).apply(problem, Memory({}))


def test_what_the_guide_finds_nearer_than_the_positive_is_out():
    found = guided(relation([[1, None, None, None]]), [0], [60, 59, 61, 200])
    assert found.valid.tolist() == [[True, False, True, True]]


def test_a_margin_takes_more_out_and_the_positive_never():
    known = relation([[1, None, None]])
    assert guided(known, [0], [60, 61, 80], margin=0.1).valid.tolist() == [[True, False, True]]
    assert guided(known, [0], [60, 61, 80], margin=0.1, margin_strategy="relative").valid[0].tolist() == [1, 0, 1]
    # cos 60 is .5: a relative margin of .1 reaches down to .45, an absolute one to .4, and cos 65 is .42.
    assert guided(known, [0], [60, 65, 80], margin=0.1).valid[0].tolist() == [1, 0, 1]
    assert guided(known, [0], [60, 65, 80], margin=0.1, margin_strategy="relative").valid[0].tolist() == [1, 1, 1]


def test_below_zero_a_relative_margin_lies_below_the_positive_too():
    known = relation([[1, None]])
    # cos 101.5 is -.2 and cos 102 is -.208, below the positive but within a twentieth of .2
    assert guided(known, [0], [101.5, 102], margin=0.05, margin_strategy="relative").valid.tolist() == [[True, False]]


def test_the_least_of_several_positives_is_the_measure():
    found = guided(relation([[1, 1, None, None]]), [0], [10, 60, 40, 70])
    assert found.valid.tolist() == [[True, True, False, True]]


def test_an_exact_tie_stays_and_a_row_without_positives_keeps_all():
    found = guided(relation([[1, None], [None, None]]), [0, 0], [60, 60])
    assert found.valid.all()


def test_each_side_among_itself_is_held_to_the_same_measure():
    found = guided(relation([[1, None], [None, 1]]), [0, 20], [60, 100])
    # g(0) = cos 60, g(1) = cos 80; anchors are 20 degrees apart, candidates 40.
    assert found.among_anchors.tolist() == [[False, False], [False, False]]
    assert found.among_candidates.tolist() == [[False, False], [False, False]]
    found = guided(relation([[1, None], [None, 1]]), [0, 90], [10, 100])
    assert found.among_anchors.tolist() == [[False, True], [True, False]]
    assert found.among_candidates.tolist() == [[False, True], [True, False]]


@pytest.mark.usefixtures("without_annotation_checks")
def test_what_is_refused():
    with pytest.raises(ConfigError, match="GuideMask: margin must be a number, got 'wide'"):
        GuideMask(margin="wide")
    with pytest.raises(ConfigError, match="GuideMask: margin_strategy must be absolute or relative, got 'both'"):
        GuideMask(margin_strategy="both")
