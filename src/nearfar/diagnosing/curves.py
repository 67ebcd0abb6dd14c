"""Parts of a curve, and what is typical of them."""

import numpy as np

from nearfar.reports.contents import Curve


def typical(curve: Curve, start: float, stop: float) -> float:
    """The median of a curve between two shares of its points, of at least one: single steps jitter."""
    count = len(curve.values)
    first = min(int(start * count), count - 1)
    return float(np.median(curve.values[first : max(first + 1, round(stop * count))]))
