"""Many comparisons at once: p-values adjusted over a family that was declared, and groups that cannot be told apart."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_letters
from typing import TypeVar

import numpy as np

from nearfar.errors import ConfigError, DataError, first_few
from nearfar.statistics.values import check_share

Comparison = TypeVar("Comparison", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Which systems cannot be told apart.

    Attributes:
        systems: all, best mean first.
        groups: the largest sets without a difference inside, that of the best system first. They may overlap.
        letters: by system, a letter for each of its groups. Two systems share one exactly where no difference
            between them was found; that does not say that they are equal.
        leaders: the best system and all that cannot be told apart from it.
    """

    systems: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    letters: dict[str, str]
    leaders: tuple[str, ...]


def holm(p_values: Mapping[Comparison, float], *, family: Sequence[Comparison]) -> dict[Comparison, float]:
    """P-values adjusted for the size of the family: any false find at all has at most probability alpha (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1, is no smaller than the ones before, and at most 1. Right for any
    dependence. The family is what was meant to be compared, whether or not it is finished or looks well: a comparison
    without a p-value counts as 1, so that leaving out what failed does not make the rest look better.

    Args:
        p_values: of the comparisons that were made.
        family: all that were planned, each once.

    Returns:
        The adjusted p-value of each comparison made, in the order of ``family``.

    Raises:
        DataError: a comparison outside the family, or a p-value that is not between 0 and 1.
        ConfigError: a comparison that is declared twice.
    """
    if len(set(family)) < len(family):
        twice = [each for place, each in enumerate(family) if each in family[:place]]
        raise ConfigError(f"A family lists each comparison once; these come again: {first_few(twice)}.")
    known = set(family)
    outside = [each for each in p_values if each not in known]
    if outside:
        raise DataError(
            f"Compared but not declared: {first_few(outside)}. The family has {len(family)}: {first_few(family)}. "
            "Declare all comparisons before looking at results."
        )
    wrong = [f"{each} has {p}" for each, p in p_values.items() if not 0 <= p <= 1]
    if wrong:
        raise DataError(f"A p-value is between 0 and 1: {first_few(wrong)}.")
    adjusted: dict[Comparison, float] = {}
    largest = 0.0
    for rank, each in enumerate(sorted((each for each in family if each in p_values), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(family) - rank) * p_values[each]))
        adjusted[each] = largest
    return {each: adjusted[each] for each in family if each in adjusted}


def groups(means: Mapping[str, float], adjusted: Mapping[tuple[str, str], float], *, alpha: float = 0.05) -> Groups:
    """Group systems by what their adjusted p-values cannot tell apart: a compact letter display (Piepho 2004).

    Starts from one group of all. Each pair with p at most ``alpha`` splits every group that holds both into one without
    the first and one without the second; a group inside another is dropped.

    Args:
        means: by system.
        adjusted: of every pair of systems, in either order, from ``holm`` or ``randomised_tukey``.
        alpha: level over the family.

    Raises:
        DataError: no systems, a mean that is not finite, a pair without a p-value or with one that is not between 0
            and 1.
        ConfigError: ``alpha`` is not between 0 and 1.
    """
    check_share("alpha", alpha, 0.05)
    if not means:
        raise DataError("There is no system to group.")
    wrong = [name for name, mean in means.items() if not np.isfinite(mean)]
    if wrong:
        raise DataError(f"Means must be finite; those of {first_few(wrong)} are not.")
    systems = sorted(means, key=lambda name: (-means[name], name))
    different = _different(systems, adjusted, alpha)
    found = [(1 << len(systems)) - 1]  # a group is a number with a bit for each place in the order
    for first, second in different:
        both = 1 << first | 1 << second
        split = [mask for mask in found if mask & both != both]
        for mask in found:
            if mask & both == both:
                split += [mask & ~(1 << first), mask & ~(1 << second)]
        found = _largest(split)
    members = sorted([place for place in range(len(systems)) if mask >> place & 1] for mask in found)
    letters = {
        name: "".join(_letter(number) for number, group in enumerate(members) if place in group)
        for place, name in enumerate(systems)
    }
    beaten = {second for first, second in different if first == 0}
    return Groups(
        systems=tuple(systems),
        groups=tuple(tuple(systems[place] for place in group) for group in members),
        letters=letters,
        leaders=tuple(name for place, name in enumerate(systems) if place not in beaten),
    )


def _different(
    systems: Sequence[str], adjusted: Mapping[tuple[str, str], float], alpha: float
) -> list[tuple[int, int]]:
    """Places of the pairs that differ."""
    found, missing = [], []
    for first, second in combinations(range(len(systems)), 2):
        pair = (systems[first], systems[second])
        p = adjusted.get(pair, adjusted.get(pair[::-1]))
        if p is None:
            missing.append(" and ".join(pair))
        elif not 0 <= p <= 1:
            raise DataError(f"A p-value is between 0 and 1; that of {' and '.join(pair)} is {p}.")
        elif p <= alpha:
            found.append((first, second))
    if missing:
        raise DataError(f"Groups need a p-value for every pair; there is none for {first_few(missing)}.")
    return found


def _largest(masks: Sequence[int]) -> list[int]:
    """The groups that are in no other, each once."""
    once = list(dict.fromkeys(masks))
    return [mask for mask in once if not any(mask != other and mask & other == mask for other in once)]


def _letter(number: int) -> str:
    """Lower case, upper case, then a1, b1 and so on."""
    turn, place = divmod(number, len(ascii_letters))
    return ascii_letters[place] + (str(turn) if turn else "")
