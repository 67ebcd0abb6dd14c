"""What a softmax row makes of the probability of a positive."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.config.component import Component, is_number, require


class Outer(Component):
    """What is done with -log p of a positive."""

    def of(self, surprise: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The loss of each positive, from -log of its probability."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Log(Outer):
    """The negative log-likelihood itself."""

    def of(self, surprise: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The surprise as it is."""
        return surprise


@dataclass(frozen=True, kw_only=True)
class FocalPower(Outer):
    """Focal weight ``(1 - p) ** gamma`` on the negative log-likelihood: what is learned already counts less.

    Attributes:
        gamma: 0 leaves the loss as it is.
        detach: no gradient flows through the weight.
    """

    gamma: float = 0.5
    detach: bool = False
    detached: ClassVar[tuple[str, ...]] = ("focal weight, with detach",)

    def __post_init__(self) -> None:
        require(is_number(self.gamma) and self.gamma >= 0, self, "gamma", "a number of at least 0")

    def of(self, surprise: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The weighted surprise. ``1 - p`` is kept above 1e-6: below 1, gamma has an infinite slope at 0."""
        missing = -torch.expm1(-surprise)
        weight = missing.clamp(min=1e-6) ** self.gamma
        return (weight.detach() if self.detach else weight) * surprise


@dataclass(frozen=True, kw_only=True)
class Power(Outer):
    """The comp-sum family (arXiv 2304.07288): ``(u ** (1 - exponent) - 1) / (1 - exponent)`` of ``u = 1 / p``.

    Attributes:
        exponent: 0 sum-exponential, 1 cross-entropy, between 1 and 2 generalised cross-entropy, 2 mean absolute error.
    """

    exponent: float = 1.0

    def __post_init__(self) -> None:
        require(is_number(self.exponent) and self.exponent >= 0, self, "exponent", "a number of at least 0")

    def of(self, surprise: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The function of the surprise, log u."""
        rest = 1 - self.exponent
        return surprise if rest == 0 else torch.expm1(rest * surprise) / rest
