"""Links: what a pairwise loss does with how far the worse column of a pair is above the better one."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from nearfar.config.component import Component, is_number, require


class Link(Component):
    """A loss of a difference, which rises with it."""

    def of(self, difference: Float[Tensor, "..."], gap: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The loss of each pair.

        Args:
            difference: logit of the worse column minus that of the better one.
            gap: how much better the better one is said to be; above 0.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Hinge(Link):
    """``max(0, difference + margin) ** power``: no loss once the pair is apart by the margin.

    Attributes:
        margin: how far the better one should be above the worse.
        power: 1, or 2 for the squared hinge.
    """

    margin: float = 0.2
    power: int = 1

    def __post_init__(self) -> None:
        require(is_number(self.margin), self, "margin", "a number")
        require(self.power in (1, 2), self, "power", "1 or 2")

    def of(self, difference: Float[Tensor, "..."], gap: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The hinge of each pair."""
        short = (difference + self.margin).clamp(min=0)
        return short if self.power == 1 else short.square()


@dataclass(frozen=True, kw_only=True)
class Logistic(Link):
    """``softplus(difference)``: -log of the probability that the better one wins."""

    def of(self, difference: Float[Tensor, "..."], gap: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The surprise of each pair."""
        return softplus(difference)


@dataclass(frozen=True, kw_only=True)
class Overlap(Link):
    """The fidelity of FRank: 1 minus the overlap of the modelled and the wanted probability. It stays below 1.

    Attributes:
        target_temperature: divides the gap, whose logistic is wanted; none when the better one should always win.
    """

    target_temperature: float | None = None

    def __post_init__(self) -> None:
        value = self.target_temperature
        above = value is None or (is_number(value) and value > 0)
        require(above, self, "target_temperature", "a number above 0, or none")

    def of(self, difference: Float[Tensor, "..."], gap: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """What the overlap of each pair lacks to 1."""
        # The root of a logistic is the exponential of half a softplus, which has a slope everywhere.
        wins, loses = (torch.exp(-softplus(sign * difference) / 2) for sign in (1, -1))
        if self.target_temperature is None:
            return 1 - wins
        wanted = torch.sigmoid(gap / self.target_temperature)
        return 1 - wanted.sqrt() * wins - torch.sigmoid(-gap / self.target_temperature).sqrt() * loses
