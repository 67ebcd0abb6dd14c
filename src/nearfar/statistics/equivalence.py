"""Claims that two systems are about equal. A large p-value of a difference is none: it may be that too little was seen.

The margin is the largest difference that does not matter. It is chosen before the results are seen, and it is in the
unit of the measure: 0.01 is one point of nDCG.
"""

from dataclasses import dataclass

import numpy as np

from nearfar.errors import ConfigError
from nearfar.statistics.estimates import Estimate
from nearfar.statistics.values import check_share


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Whether a claim about a difference is shown.

    Attributes:
        claim: in words.
        shown: whether ``p`` is at most ``alpha``. False does not mean that the opposite is true.
        p: of the null hypothesis that the claim is false.
        alpha: the level.
        margin: the largest difference that does not matter.
        low: the lower end of the interval that lies inside the margin exactly where the claim is shown.
        high: its upper end; None where the claim has no upper bound.
    """

    claim: str
    shown: bool
    p: float
    alpha: float
    margin: float
    low: float
    high: float | None


def no_worse(estimate: Estimate, margin: float, *, alpha: float = 0.05) -> Claim:
    """Non-inferiority: treatment is less than ``margin`` below control. One-sided t-test of mean + margin.

    Args:
        estimate: of treatment minus control, from ``estimate`` or ``hierarchical(...).estimate``.
        margin: above 0.
        alpha: level of the one-sided test; the bound ``low`` has confidence 1 - alpha.

    Raises:
        ConfigError: a margin that is not above 0, or a level that is not between 0 and 0.5.
    """
    _check(margin, alpha)
    p = estimate.p_above(-margin)
    return Claim(
        claim=f"no worse by {margin:g} or more",
        shown=p <= alpha,
        p=p,
        alpha=alpha,
        margin=margin,
        low=estimate.mean - estimate.margin(alpha),
        high=None,
    )


def equivalent(estimate: Estimate, margin: float, *, alpha: float = 0.05) -> Claim:
    """Equivalence: the difference is within ``margin`` on both sides, by two one-sided tests (TOST, Schuirmann 1987).

    p is the larger of the two. The interval has confidence 1 - 2 alpha and lies within the margin exactly where the
    claim is shown. Arguments and errors are those of ``no_worse``.
    """
    _check(margin, alpha)
    p = max(estimate.p_above(-margin), estimate.p_below(margin))
    reach = estimate.margin(alpha)
    return Claim(
        claim=f"within {margin:g} of each other",
        shown=p <= alpha,
        p=p,
        alpha=alpha,
        margin=margin,
        low=estimate.mean - reach,
        high=estimate.mean + reach,
    )


def _check(margin: float, alpha: float) -> None:
    check_share("alpha", alpha, 0.05)
    if alpha >= 0.5:
        raise ConfigError(f"alpha of a one-sided test must be below 0.5, such as 0.05, got {alpha}.")
    if not (np.isfinite(margin) and margin > 0):
        raise ConfigError(
            f"The margin must be above 0, got {margin}: the largest difference that does not matter, such as 0.01. "
            "No data can show a difference of exactly 0."
        )
