"""What synthesis draws."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.objectives.synthesis.draws import beta, hardest, members, pairs, pick

ALLOWED = torch.tensor([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]], dtype=torch.bool)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 100))
def test_members_are_members(seed):
    drawn = members(generator(seed), ALLOWED, 20)
    assert set(drawn[0].tolist()) <= {1, 3, 4}
    assert set(drawn[1].tolist()) == {-1}
    assert set(drawn[2].tolist()) == {2}


def test_every_member_is_drawn_about_as_often():
    drawn = members(generator(), ALLOWED[:1], 9000)[0]
    assert all(2700 < int((drawn == column).sum()) < 3300 for column in (1, 3, 4))


def test_every_pair_of_different_members_is_drawn_about_as_often():
    first, second = pairs(generator(), ALLOWED, 9000)
    seen = list(zip(first[0].tolist(), second[0].tolist(), strict=True))
    for one in (1, 3, 4):
        for other in (1, 3, 4):
            count = seen.count((one, other))
            assert count == 0 if one == other else 1300 < count < 1700
    assert (first[1:] == -1).all()
    assert (second[1:] == -1).all()


def test_the_ends_of_the_fraction_stay_inside():
    where = torch.tensor([[0.0, 1.0 - 1e-16, 0.5]] * 3, dtype=torch.float64)
    assert pick(ALLOWED, where).tolist() == [[1, 4, 3], [-1, -1, -1], [2, 2, 2]]


def test_hardest_are_the_highest_allowed_ones_and_ties_go_by_place():
    scores = torch.tensor([[9.0, 1.0, 9.0, 1.0, 0.5], [0.0] * 5, [0.0, 0.0, -3.0, 0.0, 0.0]])
    assert hardest(scores, ALLOWED, 1).int().tolist() == [[0, 1, 0, 0, 0], [0] * 5, [0, 0, 1, 0, 0]]
    assert hardest(scores, ALLOWED, 2).int().tolist()[0] == [0, 1, 0, 1, 0]
    assert torch.equal(hardest(scores, ALLOWED, 50), ALLOWED)
    assert not hardest(scores, ALLOWED, 0).any()


def test_beta_draws_have_the_right_moments_and_do_not_depend_on_precision():
    values = beta(generator(), (2.0, 8.0), (20_000,), torch.zeros(1, dtype=torch.float64))
    assert abs(values.mean().item() - 0.2) < 0.01
    assert abs(values.var().item() - 16 / (100 * 11)) < 0.002
    single = beta(generator(), (2.0, 8.0), (20_000,), torch.zeros(1))
    assert torch.equal(single, values.float())
    assert beta(generator(), (1.6, 1.6), (), torch.zeros(1)).shape == ()
