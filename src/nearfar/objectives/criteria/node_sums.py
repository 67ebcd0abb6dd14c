"""Weighted points of a line moved onto evenly spaced nodes, and their sums of softplus and of sigmoid at any place.

A smooth function between nodes is a polynomial through the twelve nodes around. Read one way, that is how a sum that
is known at the nodes is known everywhere; read the other way, that is how a point is as good as twelve weighted nodes.
Once points and places are nodes, differences are multiples of the spacing, and a sum over points is a convolution.

What the polynomials leave out is below 1e-12 of the sum of the absolute values, at any distance: the derivatives of
softplus and of sigmoid are never larger than the functions themselves but for a factor, also where both are tiny.
Everything here is double precision, on the processor, and without gradient.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from nearfar.errors import ResourceError

SPACING = 0.125
"""From node to node. With 12 points, halving it makes the error 4096 times smaller."""

POINTS = 12
REACH = 40.0
"""Beyond this difference softplus is the difference itself on one side and an exponential on the other: exp(-40) is
below the rounding."""

MOST_NODES = 2**20
POSITIONS_AT_ONCE = 2**15


@dataclass(frozen=True, eq=False)
class Nodes:
    """Weights of consecutive nodes; every other node has weight 0.

    Attributes:
        first: the first of them; node ``n`` is at ``n * SPACING``.
        weights: of each.
    """

    first: int
    weights: Float64[np.ndarray, " node"]

    @classmethod
    def none(cls) -> "Nodes":
        """No point at all."""
        return cls(0, np.zeros(0))

    @classmethod
    def of(cls, positions: Float64[np.ndarray, " point"], weights: Float64[np.ndarray, " point"]) -> "Nodes":
        """Points as nodes.

        Raises:
            ResourceError: when the points are so far apart that there would be more than ``MOST_NODES`` nodes.
        """
        if not len(positions):
            return cls.none()
        first, count = nodes_around(float(positions.min()), float(positions.max()))
        total = np.zeros(count)
        for start in range(0, len(positions), POSITIONS_AT_ONCE):
            some = slice(start, start + POSITIONS_AT_ONCE)
            places, shares = _shares(positions[some])
            places -= first
            around = (places[:, None] + np.arange(POINTS)).ravel()
            total += np.bincount(around, (shares * weights[some, None]).ravel(), minlength=count)
        return cls(first, total)

    def __add__(self, other: "Nodes") -> "Nodes":
        """The points of both."""
        if not len(self.weights) or not len(other.weights):
            return self if len(self.weights) else other
        first = min(self.first, other.first)
        last = max(self.first + len(self.weights), other.first + len(other.weights))
        _check(float(last - first))
        return Nodes(first, self.between(first, last) + other.between(first, last))

    def between(self, first: int, last: int) -> Float64[np.ndarray, " node"]:
        """The weights of the nodes from ``first`` to before ``last``."""
        found = np.zeros(last - first)
        start, stop = max(first, self.first), min(last, self.first + len(self.weights))
        if start < stop:
            found[start - first : stop - first] = self.weights[start - self.first : stop - self.first]
        return found

    def sums(self, first: int, count: int) -> tuple["Curve", "Curve"]:
        """The sums over the points of ``softplus(point - x)`` and of ``sigmoid(point - x)``.

        Args:
            first: the first node at which the sums are to be known.
            count: the number of these nodes.
        """
        if not len(self.weights):
            return Curve(first, np.zeros(count)), Curve(first, np.zeros(count))
        reach = round(REACH / SPACING)
        differences = np.arange(-reach, reach + 1) * SPACING
        window = self.between(first - reach, first + count + reach)
        soft = np.correlate(window, np.logaddexp(0.0, differences), mode="valid")
        slope = np.correlate(window, 1 / (1 + np.exp(-differences)), mode="valid")
        here = np.arange(count) + (first - self.first)
        above, distance = self._above(here, here + reach + 1)
        below = self._below(here, here - reach - 1)
        return Curve(first, soft + distance + below), Curve(first, slope + above + below)

    def _above(
        self, here: Int64[np.ndarray, " place"], start: Int64[np.ndarray, " place"]
    ) -> tuple[Float64[np.ndarray, " place"], Float64[np.ndarray, " place"]]:
        """Weight of the points from ``start`` upwards, and the sum of how far they are above ``here``."""
        # Both counted from the last node, so that what is near to it is not the small rest of large numbers.
        back = len(self.weights) - 1 - np.arange(len(self.weights))
        mass = np.append(np.cumsum(self.weights[::-1])[::-1], 0.0)
        moment = np.append(np.cumsum((self.weights * back)[::-1])[::-1], 0.0)
        start = start.clip(0, len(self.weights))
        total = mass[start]
        return total, SPACING * (total * (len(self.weights) - 1 - here) - moment[start])

    def _below(
        self, here: Int64[np.ndarray, " place"], stop: Int64[np.ndarray, " place"]
    ) -> Float64[np.ndarray, " place"]:
        """The sum of ``exp(point - here)`` over the points up to ``stop``."""
        total, step = self.weights.copy(), 1
        while step < len(total) and (factor := math.exp(-step * SPACING)) > 0:
            total[step:] += factor * total[:-step]
            step *= 2
        nearest = stop.clip(0, len(total) - 1)
        return np.where(stop >= 0, total[nearest] * np.exp(-SPACING * (here - nearest).clip(0)), 0.0)


@dataclass(frozen=True, eq=False)
class Curve:
    """A smooth function that is known at consecutive nodes.

    Attributes:
        first: the first of them.
        values: the function at each.
    """

    first: int
    values: Float64[np.ndarray, " node"]

    def at(self, positions: Float64[np.ndarray, " point"]) -> Float64[np.ndarray, " point"]:
        """The function between ``POINTS`` nodes each; positions must be well inside, see ``nodes_around``."""
        found = np.empty(len(positions))
        for start in range(0, len(positions), POSITIONS_AT_ONCE):
            some = slice(start, start + POSITIONS_AT_ONCE)
            places, shares = _shares(positions[some])
            around = self.values[(places - self.first)[:, None] + np.arange(POINTS)]
            found[some] = (around * shares).sum(axis=1)
        return found

    def finer(self, parts: int) -> Float64[np.ndarray, " place"]:
        """The function at ``parts`` even steps per spacing, from node ``first + POINTS / 2 - 1`` on."""
        _, shares = _shares(np.arange(parts) * (SPACING / parts))
        around = np.lib.stride_tricks.sliding_window_view(self.values, POINTS)
        return np.concatenate(around @ shares.T)


def nodes_around(lowest: float, highest: float, most: int = MOST_NODES) -> tuple[int, int]:
    """The first node and the number of nodes that the positions from ``lowest`` to ``highest`` need.

    Raises:
        ResourceError: when there would be more than ``most``.
    """
    _check(highest / SPACING - lowest / SPACING + POINTS + 1, most)
    first = math.floor(lowest / SPACING) - POINTS // 2 + 1
    return first, math.floor(highest / SPACING) + POINTS // 2 + 1 - first


def _check(count: float, most: int = MOST_NODES) -> None:
    """Raise ResourceError for too many nodes."""
    if not count <= most:
        raise ResourceError(
            f"To compare each positive with the negatives of all rows, logits may lie {most * SPACING:,.0f} apart. "
            f"These lie {count * SPACING:,.0f} apart. Are the vectors as they should be? Normalise them, or divide "
            "the similarities by a larger temperature."
        )


def _shares(
    positions: Float64[np.ndarray, " point"],
) -> tuple[Int64[np.ndarray, " point"], Float64[np.ndarray, "point node"]]:
    """For each position the first of the nodes around it, and the share of each of them."""
    scaled = positions / SPACING
    low = np.floor(scaled)
    shares = np.vander(scaled - low - 0.5, POINTS) @ _POLYNOMIALS
    return low.astype(np.int64) - (POINTS // 2 - 1), shares


def _polynomials() -> Float64[np.ndarray, "power node"]:
    """Coefficients, highest power first, of the polynomials that are 1 at one node and 0 at the others.

    Nodes are counted from the middle between the two innermost.
    """
    nodes = np.arange(POINTS) - (POINTS - 1) / 2
    columns = []
    for node in nodes:
        others = nodes[nodes != node]
        columns.append(np.poly(others) / np.prod(node - others))
    return np.stack(columns, axis=1)


_POLYNOMIALS = _polynomials()
