"""Further columns of a problem."""

import torch

from nearfar.objectives.problem import make_problem
from nearfar.objectives.synthesis.columns import append, append_private
from nearfar.types import Origin
from tests.objectives.relations import diagonal


def problem(**given):
    return make_problem("test", torch.randn(2, 4), torch.randn(3, 4), diagonal(2, 3), **given)


def test_everything_that_is_known_of_columns_grows():
    before = problem(teacher=torch.zeros(2, 3), guide_anchors=torch.zeros(2, 5), guide_candidates=torch.ones(3, 5))
    valid = torch.tensor([[True, False], [True, True]])
    after = append(before, torch.ones(2, 4), valid, Origin.QUEUE, grades=torch.full((2, 2), 0.5))
    assert after.candidates.shape == (5, 4)
    assert torch.equal(after.valid[:, 3:], valid)
    assert torch.equal(after.valid[:, :3], before.valid)
    assert not after.positive[:, 3:].any()
    assert not after.judged[:, 3:].any()
    assert after.grades[0].tolist() == [1, 0, 0, 0.5, 0.5]
    assert after.origins.tolist()[3:] == [Origin.QUEUE] * 2
    assert after.teacher[:, 3:].isnan().all()
    assert after.guide_candidates[3:].tolist() == [[0.0] * 5] * 2


def test_made_columns_have_identities_of_their_own():
    after = append(problem(), torch.ones(2, 4), torch.ones(2, 2, dtype=torch.bool), Origin.MIXED)
    known = [*after.row_ids.tolist(), *after.column_ids.tolist()]
    assert len(set(known)) == len(known)


def test_without_identities_there_are_none():
    bare = make_problem("test", torch.randn(2, 4), torch.randn(3, 4), torch.eye(2, 3))
    assert append(bare, torch.ones(1, 4), torch.ones(2, 1, dtype=torch.bool), Origin.MIXED).column_ids is None


def test_a_positive_must_be_usable():
    usable = torch.tensor([[True], [False]])
    after = append(problem(), torch.ones(1, 4), usable, Origin.MIXED, positive=torch.ones(2, 1, dtype=torch.bool))
    assert after.positive[:, 3].tolist() == [True, False]


def test_private_columns_are_seen_by_their_row_alone():
    usable = torch.tensor([[True, True], [False, True]])
    after = append_private(
        problem(), torch.arange(16.0).reshape(2, 2, 4), usable, grades=torch.tensor([[1.0, 2], [3, 4]])
    )
    assert after.valid[:, 3:].int().tolist() == [[1, 1, 0, 0], [0, 0, 0, 1]]
    assert after.grades[:, 3:].tolist() == [[1, 2, 0, 0], [0, 0, 3, 4]]
    assert after.candidates[5].tolist() == [8, 9, 10, 11]


def test_no_private_columns_are_none():
    after = append_private(problem(), torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.bool))
    assert after.candidates.shape == (3, 4)
