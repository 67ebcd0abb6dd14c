"""What criteria have in common when they look at a row."""

import math

import torch

from nearfar.objectives.criteria.rows import front, masked_mean


def test_the_mean_skips_what_is_left_out_even_when_it_is_not_finite():
    terms = torch.tensor([[1.0, math.inf, 3.0], [math.nan, math.inf, 0.0]], requires_grad=True)
    found = masked_mean(terms, torch.tensor([[True, False, True], [False, False, False]]))
    assert found.tolist() == [2.0, 0.0]
    found.sum().backward()
    assert terms.grad.tolist() == [[0.5, 0, 0.5], [0, 0, 0]]


def test_chosen_columns_stand_side_by_side_from_the_left():
    places, chosen = front(torch.tensor([[False, True, False, True], [False, False, True, False]]))
    assert chosen.tolist() == [[True, True], [True, False]]
    assert places[chosen].tolist() == [1, 3, 2]


def test_a_row_without_any_has_a_place_that_is_not_chosen():
    places, chosen = front(torch.zeros(2, 3, dtype=torch.bool))
    assert places.shape == (2, 1)
    assert not chosen.any()
