"""Gradients along a few random directions, which takes fewer calls than finite differences of each entry."""

from copy import deepcopy

import pytest
import torch


def check_slopes(objective, case, like=None, directions=3, **inputs):
    """The gradient is the slope of the loss, each call from the same memory.

    Args:
        objective: whose gradient it is.
        case: where.
        like: an objective whose slope it is, where something is held fixed; the objective itself otherwise.
        directions: how many.
        **inputs: what both take beside the vectors.
    """
    held = objective if like is None else like
    sides = [side.clone().requires_grad_() for side in case.vectors]
    loss = deepcopy(objective).double()(*sides, case.known, **inputs)
    found = torch.autograd.grad(loss, sides, allow_unused=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(directions):
        ways = [torch.randn(side.shape, generator=generator, dtype=side.dtype) for side in sides]
        values = []
        for step in (1e-6, -1e-6):
            moved = [side + step * way for side, way in zip(case.vectors, ways, strict=True)]
            values.append(deepcopy(held).double()(*moved, case.known, **inputs).item())
        slope = sum(float((own * way).sum()) for own, way in zip(found, ways, strict=True) if own is not None)
        assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-5)
