"""Sums of softplus and of sigmoid over all differences between two lists of numbers, in time that grows with their sum.

``NegativeSums`` takes in negatives, a tile at a time, and then knows the sum of ``softplus(negative - x)`` for any x.
``PositiveSlopes`` takes weighted positives and then knows the sum of ``weight * sigmoid(x - positive)`` for any x: the
slope at a negative. Neither has gradients of its own; together they are both passes of a loss.

Against the same sums over double-precision differences of the same numbers, the relative error is below 1e-6 in single
precision and below 1e-11 in double (for weights of one sign; otherwise relative to the sum of the absolute values). A
logit of 50 is itself rounded by 4e-6 in single precision, and its exponential as much. Values below 1e-37 are 0 in
single precision.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from nearfar.objectives.criteria.narrow_bins import LARGEST, MOST_BINS, WIDTH, NarrowBins, at_once, where
from nearfar.objectives.criteria.node_sums import MOST_NODES, POINTS, SPACING, Curve, Nodes, nodes_around

TINY = 1e-37
"""Smaller values, with which processors are slow, are 0 in a table of single precision."""


class NegativeSums:
    """The sum over negatives of ``softplus(negative - x)`` and of ``sigmoid(negative - x)``, for any x.

    Single-precision negatives go into narrow bins, a few nanoseconds each. Those that are thousands away from the
    others, and double-precision ones, go onto nodes one by one, which takes some fifty times as long. What is held does
    not grow with the number of negatives. In which order and in which pieces they come makes no difference to what is
    in bins, and one of rounding to what is on nodes.

    Args:
        dtype: of what is asked for: float32 or float64.

    Attributes:
        count: how many negatives there are.
        finite: whether all of them are finite; every sum is NaN when not.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self.count = 0
        self.finite = True
        self._bins = NarrowBins()
        self._nodes = Nodes.none()
        self._curves: tuple[Curve, Curve] | None = None

    def add(self, values: Float[Tensor, "..."], chosen: Bool[Tensor, "..."] | None = None) -> None:
        """Take in more negatives.

        Args:
            values: logits of any shape, such as a tile.
            chosen: which of them are negatives; all when left out. What is not chosen may be anything.

        Raises:
            ResourceError: when finite negatives are too far apart, see ``node_sums.MOST_NODES``; now, or when a sum
                is asked for.
        """
        numbers = values.detach().reshape(-1).to(self.dtype)
        picked = None if chosen is None else chosen.reshape(-1)
        for start in range(0, len(numbers), size := at_once(numbers)):
            some = slice(start, start + size)
            self._add(numbers[some], None if picked is None else picked[some])
        self._curves = None

    def merge(self, other: "NegativeSums") -> None:
        """Take in the negatives of another one.

        Raises:
            ResourceError: as ``add`` does.
        """
        nodes = self._nodes + other._nodes
        if (ends := other._bins.ends) is not None:
            if self._bins.reach(*ends):
                self._bins.merge(other._bins)
            else:
                nodes = nodes + _nodes_of(other._bins)
        self._nodes, self._curves = nodes, None
        self.count += other.count
        self.finite = self.finite and other.finite

    def softplus(self, positives: Float[Tensor, " positive"]) -> Float[Tensor, " positive"]:
        """For each positive the sum of ``softplus(negative - positive)``; NaN where something is not finite.

        Raises:
            ResourceError: when negatives, or positives, are too far apart.
        """
        return self._at(positives)[0]

    def sigmoid(self, positives: Float[Tensor, " positive"]) -> Float[Tensor, " positive"]:
        """For each positive the sum of ``sigmoid(negative - positive)``: minus the slope of ``softplus`` there."""
        return self._at(positives)[1]

    def _add(self, values: Float[Tensor, " value"], chosen: Bool[Tensor, " value"] | None) -> None:
        """Take in some negatives."""
        if chosen is None:
            self._add_all(values)
        elif self.dtype == torch.float32 and self._reach(values):
            # Counting everybody and taking back the few others costs a fraction of choosing.
            others = values[where(~chosen)]
            self._bins.add(values)
            self._bins.take_back(others)
            self.count += len(values) - len(others)
        else:
            self._add_all(values[chosen])

    def _add_all(self, values: Float[Tensor, " negative"]) -> None:
        """Take in some negatives, each of them wherever there is room for it."""
        if not len(values):
            return
        self.count += len(values)
        if self.dtype == torch.float32 and self._reach(values):
            self._bins.add(values)
        elif not bool(values.isfinite().all()):
            self.finite = False
        elif self.dtype == torch.float32:
            near = self._near(values)
            self._nodes = self._nodes + _nodes_at(values[~near])
            self._bins.add(values[near])
        else:
            self._nodes = self._nodes + _nodes_at(values)

    def _reach(self, values: Float[Tensor, " value"]) -> bool:
        """Whether all values have their place in the bins."""
        lowest, highest = (float(end) for end in torch.aminmax(values))
        return self._bins.reach(lowest, highest)  # False for what is not a number

    def _near(self, values: Float[Tensor, " negative"]) -> Bool[Tensor, " negative"]:
        """Which values have their place in the bins."""
        if self._bins.ends is None:
            middle, half = float(values.median()), MOST_BINS * WIDTH / 4
            self._bins.reach(max(middle - half, 1 - LARGEST), min(middle + half, LARGEST - 1))
        lowest, highest = self._bins.ends or (0.0, -1.0)
        return (values >= lowest) & (values <= highest)

    def _at(
        self, positives: Float[Tensor, " positive"]
    ) -> tuple[Float[Tensor, " positive"], Float[Tensor, " positive"]]:
        """Both sums at each positive."""
        places = positives.detach().double().cpu().numpy()
        known = np.isfinite(places) & self.finite
        found = np.full((2, len(places)), np.nan)
        if known.any():
            inside = places[known]
            found[:, known] = [curve.at(inside) for curve in self._curves_around(inside)]
        soft, slope = torch.from_numpy(found).to(positives.device, positives.dtype)
        return soft, slope

    def _curves_around(self, places: Float64[np.ndarray, " positive"]) -> tuple[Curve, Curve]:
        """Both sums as functions, at least where these places are."""
        first, count = nodes_around(float(places.min()), float(places.max()))
        if self._curves is not None:
            held = self._curves[0]
            if held.first <= first and first + count <= held.first + len(held.values):
                return self._curves
        self._curves = (self._nodes + _nodes_of(self._bins)).sums(first, count)
        return self._curves


class PositiveSlopes:
    """The sum over positives of ``weight * sigmoid(x - positive)``, for any x: how a loss rises with a negative.

    For single precision the function is a table of ``WIDTH``-wide steps with straight lines in between, for double
    precision a curve through nodes, which takes some thirty times as long.

    Args:
        positives: their logits.
        weights: of each, of any sign. When one of either is not finite, every slope is NaN.

    Raises:
        ResourceError: when the positives are too far apart, see ``node_sums.MOST_NODES``.
    """

    def __init__(self, positives: Float[Tensor, " positive"], weights: Float[Tensor, " positive"]) -> None:
        places, amounts = (each.detach().double().cpu().numpy() for each in (positives, weights))
        self.finite = bool(np.isfinite(places).all() and np.isfinite(amounts).all())
        self._curve, self._lowest, self._highest = Curve(0, np.zeros(0)), 0.0, 0.0
        self._table: _Table | None = None
        if not self.finite or not len(places):
            return
        # Below the lowest end the sum is as good as 0, above the highest end every sigmoid as good as 1.
        double = positives.dtype == torch.float64
        self._lowest = float(places.min()) - (750.0 if double else 90.0) - math.log(max(float(abs(amounts).sum()), 1.0))
        self._highest = float(places.max()) + (45.0 if double else 25.0)
        # As a sum of sigmoid(point - x), with signs turned, it keeps its digits also where it is tiny.
        # What the forward pass can do must not fail here for the room at both ends.
        nodes = nodes_around(-self._highest, -self._lowest, 2 * MOST_NODES)
        self._curve = Nodes.of(-places, amounts).sums(*nodes)[1]
        if not double and max(-self._lowest, self._highest) < LARGEST / 2:
            self._table = _Table(self._curve, positives.device)

    def at(
        self, values: Float[Tensor, "*shape"], out: Float[Tensor, "*shape"] | None = None
    ) -> Float[Tensor, "*shape"]:
        """The slope at each value: NaN for NaN, and the limits at infinities.

        Args:
            values: logits of any shape, such as a tile.
            out: where the slopes are to be, of the same dtype and contiguous; may be ``values`` itself.
        """
        values = values.detach()
        found = torch.empty_like(values, memory_format=torch.contiguous_format) if out is None else out
        if not self.finite:
            return found.fill_(float("nan"))
        numbers, slopes = values.reshape(-1), found.view(-1)
        if not len(self._curve.values):
            slopes.copy_(torch.where(numbers.isnan(), numbers, 0.0))
        elif self._table is not None and values.dtype == torch.float32:
            self._table.read(numbers, slopes)
        else:
            slopes.copy_(self._exactly(numbers))
        return found

    def _exactly(self, values: Float[Tensor, " value"]) -> Float[Tensor, " value"]:
        """The slope at each value, from the curve."""
        places = values.double().cpu().numpy()
        known = ~np.isnan(places)
        found = np.full(len(places), np.nan)
        found[known] = self._curve.at(-places[known].clip(self._lowest, self._highest))
        return torch.from_numpy(found).to(values.device, values.dtype)


class _Table:
    """A function of single-precision numbers: its value at each of many even steps, and the change to the next one.

    Halfway between steps a straight line is wrong by ``WIDTH ** 2 / 8`` of the second derivative, see ``NarrowBins``.
    Beyond its ends the function is what it is there.
    """

    def __init__(self, curve: Curve, device: torch.device) -> None:
        parts = round(SPACING / WIDTH)
        # The curve is a function of minus the number.
        values = torch.from_numpy(curve.finer(parts)[::-1].copy())
        last = -(curve.first + POINTS // 2 - 1) * parts
        self.first, self.last = last - len(values) + 1, last - 0.5
        values[values.abs() < TINY] = 0
        self.values: Float32[Tensor, " step"] = values[:-1].float().to(device)
        self.changes: Float32[Tensor, " step"] = values.diff().float().to(device)

    def read(self, numbers: Float32[Tensor, " number"], found: Float32[Tensor, " number"]) -> None:
        """Put the function of each number into ``found``."""
        size = at_once(numbers)
        for some, into in zip(torch.split(numbers, size), torch.split(found, size), strict=True):
            scaled = (some / WIDTH).clamp_(self.first, self.last)
            steps = scaled.floor()
            # What is not a number has any step, and stays what it is in the rest.
            places = (steps - self.first).int().clamp_(0, len(self.values) - 1)
            rest = scaled.sub_(steps)
            torch.addcmul(self.values.index_select(0, places), rest, self.changes.index_select(0, places), out=into)


def _nodes_at(values: Float[Tensor, " negative"]) -> Nodes:
    places: Float64[np.ndarray, " negative"] = values.double().cpu().numpy()
    return Nodes.of(places, np.ones(len(places)))


def _nodes_of(bins: NarrowBins) -> Nodes:
    points, counts = bins.points()
    return Nodes.of(points.numpy(), counts.numpy())
