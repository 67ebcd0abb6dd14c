"""The parts of the first pass; what it proves is tested in ``test_precision``."""

import pytest
import torch

from nearfar.retrieval.screen import _largest


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shift", [0.0, -3.0, 3.0, -20.0])
def test_the_largest_of_a_strip_is_that_of_its_numbers(dtype, shift):
    strips = (torch.randn(9, 16, 30, generator=torch.Generator().manual_seed(1)) + shift).to(dtype)
    strips[:3, :, :7] = -torch.inf
    strips[4, 3, 4] = strips[5, 2, 1] = -0.0
    assert torch.equal(_largest(strips), strips.amax(dim=1))
