"""Masked log-sums and the two means."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearfar.objectives.softmax import masked_logsumexp, mean_over_rows

NUMBERS = st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=4)


@given(values=NUMBERS, data=st.data())
def test_log_sum_of_what_the_mask_leaves(values, data):
    chosen = data.draw(
        st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=len(values), max_size=len(values))
    )
    found = masked_logsumexp(torch.tensor(values, dtype=torch.float64), torch.tensor(chosen))
    for result, row, mask in zip(found.tolist(), values, chosen, strict=True):
        total = math.fsum(math.exp(value) for value, taken in zip(row, mask, strict=True) if taken)
        assert result == (pytest.approx(math.log(total), abs=1e-9) if total else -math.inf)


def test_an_empty_row_has_no_gradient_and_a_huge_one_no_overflow():
    logits = torch.tensor([[1000.0, 999.0], [5.0, 6.0]], requires_grad=True)
    found = masked_logsumexp(logits, torch.tensor([[True, True], [False, False]]))
    assert found[0].item() == pytest.approx(1000 + math.log1p(math.exp(-1)), abs=1e-3)
    assert found[1].item() == -math.inf
    found[0].backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1].tolist() == [0, 0]


def test_mean_over_rows_leaves_rows_out_of_both_sides_of_the_fraction():
    losses = torch.tensor([1.0, 100.0, 3.0], requires_grad=True)
    assert mean_over_rows(losses, torch.tensor([True, False, True])).item() == 2.0
    nothing = mean_over_rows(losses, torch.tensor([False, False, False]))
    nothing.backward()
    assert nothing.item() == 0
    assert losses.grad.tolist() == [0, 0, 0]
