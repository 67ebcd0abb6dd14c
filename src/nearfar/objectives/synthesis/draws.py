"""What synthesis draws: coefficients and places, from the generator of a call.

Everything is drawn on the CPU in double precision and moved then, so that device and precision change nothing. Where
rows are computed in tiles, each tile draws for all rows and takes its own, so that tiles change nothing either.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nearfar.objectives.problem import Window


def beta(
    generator: torch.Generator,
    concentration: tuple[float, float],
    shape: Sequence[int],
    like: Tensor,
    window: Window | None = None,
) -> Float[Tensor, "..."]:
    """Draws from a beta distribution, with the dtype and device of ``like``. Concentrations of 1 are uniform.

    Args:
        generator: of the call.
        concentration: the two parameters.
        shape: of the result.
        like: a tensor of its dtype and device.
        window: which rows these are, where the first axis is of rows.
    """
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    values = np.random.default_rng(seed).beta(*concentration, size=_all_rows(shape, window))
    return _own(torch.as_tensor(values), shape, window).to(like)


def uniform(generator: torch.Generator, shape: Sequence[int], window: Window | None = None) -> Float[Tensor, "..."]:
    """Uniform draws from 0 to below 1, for rows in a window if there is one."""
    drawn = torch.rand(_all_rows(shape, window), generator=generator, dtype=torch.float64)
    return _own(drawn, shape, window)


def members(
    generator: torch.Generator, allowed: Bool[Tensor, "row column"], count: int, window: Window | None = None
) -> Int[Tensor, "row draw"]:
    """For each row, members of what is allowed, drawn with replacement; -1 where nothing is."""
    return pick(allowed, uniform(generator, (len(allowed), count), window))


def pairs(
    generator: torch.Generator, allowed: Bool[Tensor, "row column"], count: int, window: Window | None = None
) -> tuple[Int[Tensor, "row draw"], Int[Tensor, "row draw"]]:
    """For each row, pairs of different members of what is allowed; -1 where fewer than two are."""
    first, step = (uniform(generator, (len(allowed), count), window) for _ in range(2))
    some = allowed.sum(dim=1, keepdim=True)
    enough = some > 1
    start = (first.to(allowed.device) * some).floor()
    # A step of at least one and less than all around the circle: never the same one again.
    stride = 1 + (step.to(allowed.device) * (some - 1).clamp(min=1)).floor()
    places = sorted_members(allowed)
    one = places.gather(1, start.long().clamp(max=allowed.shape[1] - 1))
    other = places.gather(1, ((start + stride) % some.clamp(min=1)).long())
    return torch.where(enough, one, -1), torch.where(enough, other, -1)


def pick(allowed: Bool[Tensor, "row column"], where: Float[Tensor, "row draw"]) -> Int[Tensor, "row draw"]:
    """The member of what is allowed at a fraction of the way from its first to past its last; -1 where nothing is."""
    some = allowed.sum(dim=1, keepdim=True)
    place = (where.to(allowed.device) * some).floor().long().clamp(max=allowed.shape[1] - 1)
    return torch.where(some > 0, sorted_members(allowed).gather(1, place), -1)


def sorted_members(allowed: Bool[Tensor, "row column"]) -> Int[Tensor, "row column"]:
    """Columns of each row, those that are allowed first, in their order."""
    return allowed.to(torch.uint8).argsort(dim=1, descending=True, stable=True)


def hardest(
    scores: Float[Tensor, "row column"], allowed: Bool[Tensor, "row column"], most: int
) -> Bool[Tensor, "row column"]:
    """What is allowed, and among the ``most`` highest of it in its row."""
    most = min(most, scores.shape[1])
    places = scores.masked_fill(~allowed, float("-inf")).argsort(dim=1, descending=True, stable=True)[:, :most]
    return torch.zeros_like(allowed).scatter(1, places, True) & allowed


def _all_rows(shape: Sequence[int], window: Window | None) -> tuple[int, ...]:
    """The shape with all rows in the place of those of the window."""
    return tuple(shape) if window is None else (window.total, *shape[1:])


def _own(drawn: Float[Tensor, "..."], shape: Sequence[int], window: Window | None) -> Float[Tensor, "..."]:
    """The rows of the window."""
    return drawn if window is None else drawn[window.start : window.start + shape[0]]
